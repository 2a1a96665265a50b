"""The two nights of the benchmark: orgs × 8 columns, the same bytes on every machine, flat memory for any number of rows.

Night 2 has, of every 1000 orgs of night 1, ten with a changed value, one removed and one new; all in night 1's order, or
in a random order. Each row is computed from its place alone, so DuckDB streams them; the random order is a permutation of
the places (multiplications and shifts that can be undone), so nothing is ever sorted.

    extracts.py ROWS FORMAT NIGHT ORDER PATH      makes one file
"""

import pathlib
import sys

import duckdb

KEY = "workspace_id"
COMPARED = ["workspace_name", "plan_id", "plan_name", "user_count", "mrr", "trial_status", "region"]
COPY_OPTIONS = {"parquet": "format parquet, compression snappy", "csv": "format csv, header"}

# Night 2, by place in each block of 1000 rows: org 0 to 250, a new one, 251 to 499, 501 to 999.
ROWS = """
with place as ({places}),
org as (
  select case when {night} = 2 and p % 1000 between 251 and 500 then p - 1 else p end as i,
         {night} = 2 and p % 1000 = 251 as is_new
  from place
),
numbered as (
  select 2 * i + is_new::bigint as id,
         ((2 * i + is_new::bigint) * 2654435761) & 4294967295 as m,
         case when {night} = 2 and not is_new and i % 100 = 3 then (i // 100) % 4 else -1 end as change
  from org
),
scattered as (select id, change, (xor(m, m >> 15) * 1597334677) & 4294967295 as h from numbered)
select 'ws_' || lpad(id::varchar, 9, '0') as workspace_id,
       'Workspace number ' || id as workspace_name,
       ['free', 'pro', 'team', 'enterprise'][1 + ((h >> 20) + (change = 0)::int) % 4] as plan_id,
       ['Free', 'Pro', 'Team', 'Enterprise'][1 + ((h >> 20) + (change = 0)::int) % 4] as plan_name,
       (h >> 8) % 500 + (change = 1)::int as user_count,
       ((h >> 8) % 500 + (change = 2)::int) * 990 as mrr,
       case when change <> 3 then [null, 'active', 'expired', 'converted'][1 + (h >> 24) % 4]
            when (h >> 24) % 4 = 0 then 'active' end as trial_status,
       ['us-east-1', 'us-west-2', 'eu-west-1', 'eu-central-1', 'ap-south-1'][1 + (h >> 12) % 5] as region
from scattered
"""


def places(rows, order):
    """SQL for the places 0 … rows-1, in order or permuted."""
    if order == "same":
        return f"select range as p from range({rows})"
    bits = max(rows - 1, 2).bit_length()
    mask, half = (1 << bits) - 1, (bits + 1) // 2
    # Each step maps 0 … mask onto itself; what falls outside the rows is left out.
    p = "range"
    for factor, seed in [(2654435761, 20260101), (2246822519, 7919), (3266489917, 104729)]:
        p = f"(({p} * {factor} + {seed}) & {mask})"
        p = f"xor({p}, {p} >> {half})"
    return f"select {p} as p from range({mask + 1}) where {p} < {rows}"


def write(rows, ext, night, order, target):
    """Writes a night; a file under its final name is complete."""
    if rows % 1000 or not 1000 <= rows <= 400_000_000:
        raise SystemExit(f"rows must be a multiple of 1000 up to 400 million, not {rows}")
    query = ROWS.format(night=night, places=places(rows, order if night == 2 else "same"))
    unfinished = target.with_suffix(".unfinished")
    duckdb.sql(f"copy ({query}) to '{unfinished}' ({COPY_OPTIONS[ext]})")
    unfinished.rename(target)


if __name__ == "__main__":
    rows, ext, night, order, target = sys.argv[1:]
    write(int(rows), ext, int(night), order, pathlib.Path(target))
