#!/usr/bin/env python3
"""Time and memory of `nightmark preview` and an adopting `run` over one million orgs × 8 columns.

    cargo build --release && ./test.sh --tools && .tools/venv/bin/python benches/preview.py [ORGS]

DuckDB makes the extracts (night two: 1 % changed, 0.1 % added, 0.1 % removed, last_active_at different everywhere).
Prints a Markdown table: medians of three runs, peak resident memory of the whole process.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

ORGS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
BINARY = pathlib.Path(os.environ.get("NIGHTMARK", TARGET / "release" / "nightmark")).absolute()

JOB = """version = 1
[source]
kind = "files"
path = "orgs.{ext}"
{query}
[diff]
key = "workspace_id"
ignore = ["last_active_at"]
first_run = "{first}"
[destination]
kind = "http"
url = "http://127.0.0.1:9/"
[payload]
preset = "flat"
"""

NIGHT = """
copy (
  select 'ws_' || lpad(i::varchar, 9, '0') as workspace_id,
         'Workspace number ' || i as workspace_name,
         ['free', 'pro', 'team', 'enterprise'][1 + i % 4] as plan_id,
         ['Free', 'Pro', 'Team', 'Enterprise'][1 + i % 4] as plan_name,
         (i * 7919) % 500 + case when {night} = 2 and i % 100 = 3 then 1 else 0 end as user_count,
         ((i * 7919) % 500) * 990 as mrr,
         [null, 'active', 'expired', 'converted'][1 + i % 4] as trial_status,
         timestamp '2026-01-01' + to_seconds((i * 104729) % 2000000 + {night} * 86400) as last_active_at
  from range(case when {night} = 2 then {orgs} // 1000 else 0 end,
             {orgs} + case when {night} = 2 then {orgs} // 1000 else 0 end) t(i)
) to '{path}' ({options})
"""


def extract(home, ext, night):
    options = "format parquet" if ext == "parquet" else "format csv, header"
    duckdb.sql(NIGHT.format(night=night, orgs=ORGS, path=home / f"orgs.{ext}", options=options))


def measure(args, home, code=0):
    """Seconds and peak megabytes of one command, as the kernel accounts them."""
    started = time.monotonic()
    child = subprocess.Popen([str(BINARY), "--home", str(home), *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - started
    assert os.waitstatus_to_exitcode(status) == code, output.decode()
    return seconds, usage.ru_maxrss / 1024, output.decode()


def row(what, runs):
    seconds = statistics.median(r[0] for r in runs)
    memory = max(r[1] for r in runs)
    print(f"| {what} | {seconds:.2f} s | {memory:.0f} MB |", flush=True)


def main():
    print(f"{ORGS:,} orgs × 8 columns, {BINARY}\n\n| | wall | peak memory |\n|---|---|---|")
    for ext, query in [("parquet", ""), ("csv", ""), ("parquet", 'query = "SELECT * FROM extract WHERE user_count >= 0"')]:
        label = ext + (" through SQL" if query else "")
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            (home / "jobs").mkdir()
            job = home / "jobs" / "orgs.toml"
            extract(home, ext, 1)
            job.write_text(JOB.format(ext=ext, query=query, first="send"))
            row(f"{label}: preview of a first run (all added)", [measure(["preview", "orgs"], home) for _ in range(3)])
            job.write_text(JOB.format(ext=ext, query=query, first="adopt"))
            row(f"{label}: run that adopts and publishes", [measure(["run", "orgs"], home)])
            row(f"{label}: preview, nothing changed", [measure(["preview", "orgs"], home) for _ in range(3)])
            extract(home, ext, 2)
            runs = [measure(["preview", "orgs", "--limit", "3"], home) for _ in range(3)]
            expected = f"{ORGS // 1000:,} added, "
            assert expected in runs[0][2], runs[0][2]
            row(f"{label}: preview, 1 % changed", runs)


if __name__ == "__main__":
    main()
