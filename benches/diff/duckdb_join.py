"""DuckDB as the rival: a full outer join of the two nights, the change set as Parquet, and the next snapshot if asked for.

    duckdb_join.py NIGHT1 NIGHT2 CHANGES [SNAPSHOT]

A process of its own, with DuckDB's default settings and all cores. Prints the seconds of the queries, without the interpreter's start.
"""

import json
import sys
import time

import duckdb

from extracts import COMPARED, KEY


def changes(night1, night2):
    differs = " or ".join(f"b.{c} is distinct from a.{c}" for c in COMPARED)
    columns = ", ".join(f"b.{c} as before_{c}, a.{c} as after_{c}" for c in COMPARED)
    return f"""
        select case when b.{KEY} is null then 'added' when a.{KEY} is null then 'removed' else 'changed' end as operation,
               coalesce(a.{KEY}, b.{KEY}) as {KEY}, {columns}
        from '{night1}' b full join '{night2}' a on a.{KEY} = b.{KEY}
        where b.{KEY} is null or a.{KEY} is null or {differs}"""


def main(night1, night2, out, snapshot=None):
    started = time.monotonic()
    duckdb.sql(f"copy ({changes(night1, night2)}) to '{out}' (format parquet)")
    if snapshot:
        duckdb.sql(f"copy (from '{night2}') to '{snapshot}' (format parquet, compression snappy)")
    print(json.dumps({"seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:])
