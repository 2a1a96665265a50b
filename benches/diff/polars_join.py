"""polars as the rival: lazy scans of the two nights, a full join, the change set streamed into a Parquet file.

    polars_join.py NIGHT1 NIGHT2 CHANGES

A process of its own with polars' default settings. Prints the seconds of the query, without the interpreter's start.
"""

import json
import sys
import time

import polars as pl

from extracts import COMPARED, KEY


def scan(night):
    return pl.scan_parquet(night) if night.endswith(".parquet") else pl.scan_csv(night)


def changes(night1, night2):
    before = scan(night1).rename({c: f"before_{c}" for c in [KEY, *COMPARED]})
    after = scan(night2).rename({c: f"after_{c}" for c in COMPARED})
    joined = before.join(after, left_on=f"before_{KEY}", right_on=KEY, how="full", coalesce=False)
    is_new, is_gone = pl.col(f"before_{KEY}").is_null(), pl.col(KEY).is_null()
    differs = pl.any_horizontal(pl.col(f"before_{c}").ne_missing(pl.col(f"after_{c}")) for c in COMPARED)
    op = pl.when(is_new).then(pl.lit("added")).when(is_gone).then(pl.lit("removed")).otherwise(pl.lit("changed"))
    values = [f"{side}_{c}" for c in COMPARED for side in ("before", "after")]
    key = pl.coalesce(KEY, f"before_{KEY}").alias(KEY)
    return joined.filter(is_new | is_gone | differs).select(op.alias("operation"), key, *values)


def main(night1, night2, out):
    started = time.monotonic()
    changes(night1, night2).sink_parquet(out)
    print(json.dumps({"seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:])
