"""What a change set holds, so that engines can be compared: per operation the rows, and a digest of the keys if they are a column.

counts.py CHANGES.parquet      {"added": [1000, 123…], "changed": …, "removed": …}
"""

import json
import sys

import duckdb

from extracts import KEY

changes = duckdb.read_parquet(sys.argv[1])
# Nightmark has its key columns in a struct.
key = KEY if KEY in changes.columns else f"key.{KEY}"
counts = changes.aggregate(f"operation, count(*), bit_xor(hash({key}))", "operation").fetchall()
print(json.dumps({operation: rest for operation, *rest in counts}))
