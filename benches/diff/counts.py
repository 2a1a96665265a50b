"""What a change set holds, so that engines can be compared: per operation the rows, and a digest of the keys if they are a column.

counts.py CHANGES.parquet      {"added": [1000, 123…], "changed": …, "removed": …}
"""

import json
import sys

import duckdb

from extracts import KEY

changes = duckdb.read_parquet(sys.argv[1])
digest = f"bit_xor(hash({KEY}))" if KEY in changes.columns else "null"
print(json.dumps({op: rest for op, *rest in changes.aggregate(f"op, count(*), {digest}", "op").fetchall()}))
