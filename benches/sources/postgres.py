"""How fast a PostgreSQL becomes Arrow: 2,000,000 rows of 9 columns, beside others, in one run.

    cargo build --release -p nightmark-sources-bench
    .tools/venv/bin/python benches/sources/postgres.py target/release/nightmark-sources-bench

All read the same query over TCP on loopback, without TLS, by turns: ours, connectorx and the ADBC driver (both from PyPI) into Arrow, and
psql's binary COPY to /dev/null, which does nothing but receive. The figures are medians of the turns; a turn's time is from the
connection to the last row, its CPU time and its peak memory are the process's (a Python's without its imports). Whatever is read is
dropped at once where the library lets that be: connectorx holds the result. Before that, every column of every row is compared with what
psql reads. The last line says whether the goals of issue 7 are met; the exit code does too."""

import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "receiver"))
from postgres import Postgres  # noqa: E402

ROWS = int(os.environ.get("ROWS", 2_000_000))
TURNS = int(os.environ.get("TURNS", 3))
PORT = 18_433
QUERY = "SELECT * FROM orgs"
TABLE = f"""
CREATE TABLE orgs AS SELECT n AS id, 'ws_' || n AS workspace_id, 'Organisation number ' || n AS name,
  CASE n % 3 WHEN 0 THEN 'free' WHEN 1 THEN 'pro' ELSE NULL END AS plan, (n % 1000)::int4 AS user_count,
  (n / 7.0)::numeric(12, 2) AS mrr, n % 2 = 0 AS is_active, n / 7.0::float8 AS score,
  '2026-01-01Z'::timestamptz + n * interval '1.000001 s' AS updated_at
FROM generate_series(1::bigint, {ROWS}) AS n;
VACUUM (ANALYZE, FREEZE) orgs;
"""
# As `nightmark-sources-bench … print` writes them.
TEXT = """COPY (SELECT id, workspace_id, name, plan, user_count, mrr, is_active, score,
  (extract(epoch FROM updated_at) * 1000000)::bigint FROM orgs) TO STDOUT"""

CONNECTORX = """
import connectorx
result = lambda: connectorx.read_sql(URL, QUERY, return_type="arrow").num_rows
"""
ADBC = """
import adbc_driver_postgresql.dbapi
def result():
    rows = 0
    with adbc_driver_postgresql.dbapi.connect(URL) as connection, connection.cursor() as cursor:
        cursor.execute(QUERY)
        for batch in cursor.fetch_record_batch():
            rows += batch.num_rows
    return rows
"""
MEASURED = """
import json, resource, sys, time
before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
rows = result()
seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"rows": rows, "seconds": seconds, "cpu": cpu, "peak": after.ru_maxrss}))
"""


def run(command, **more):
    """Output, seconds, CPU seconds and peak KiB of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, **more)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} failed with {process.returncode}")
    return out, {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss}


def of_python(url, code):
    script = f"URL, QUERY = {url!r}, {QUERY!r}\n{code}{MEASURED}"
    return json.loads(run([sys.executable, "-c", script])[0])


def of_ours(program, home):
    out, figures = run([program, home, "orgs", "read"])
    return figures | {"rows": json.loads(out)["rows"], "seconds": json.loads(out)["seconds"]}


def of_psql(postgres, url):
    copy = f"COPY ({QUERY}) TO STDOUT (FORMAT BINARY)"
    with open(os.devnull, "wb") as nowhere:
        start = time.perf_counter()
        process = subprocess.Popen([postgres.bin / "psql", "-X", "-q", url, "-c", copy], stdout=nowhere)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit("psql failed")
    seconds = time.perf_counter() - start
    return {"rows": ROWS, "seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss}


def digest(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    sha, lines = hashlib.sha256(), 0
    while block := process.stdout.read(1 << 20):
        sha.update(block)
        lines += block.count(b"\n")
    if process.wait() != 0:
        raise SystemExit(f"{command[0]} failed")
    return lines, sha.hexdigest()


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="nightmark-bench-") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        postgres = Postgres(folder / "postgres", PORT)
        try:
            measure(program, folder, postgres)
        finally:
            postgres.stop()


def measure(program, folder, postgres):
    url = postgres.database("orgs")
    postgres.run("psql", "-X", "-q", url, "-c", TABLE.split("VACUUM")[0])
    postgres.run("psql", "-X", "-q", url, "-c", "VACUUM" + TABLE.split("VACUUM")[1])
    home = folder / "home"
    (home / "jobs").mkdir(parents=True)
    (home / "jobs/orgs.toml").write_text(f"""version = 1
[source]
kind = "postgres"
url = "{url}"
query = "{QUERY}"
[diff]
key = "workspace_id"
[destination]
kind = "http"
url = "http://127.0.0.1:9/"
[payload]
preset = "flat"
""")
    theirs = digest([postgres.bin / "psql", "-X", "-q", url, "-c", TEXT])
    ours = digest([program, home, "orgs", "print"])
    if theirs != ours or ours[0] != ROWS:
        raise SystemExit(f"the values differ: psql {theirs}, ours {ours}")
    print(f"{ROWS} rows: every value equals psql's (sha256 {ours[1][:16]}…)")
    plain = f"{url}?sslmode=disable"
    contenders = {
        "nightmark": lambda: of_ours(program, home),
        "connectorx": lambda: of_python(plain, CONNECTORX),
        "ADBC": lambda: of_python(plain, ADBC),
        "psql COPY": lambda: of_psql(postgres, url),
    }
    turns = {name: [] for name in contenders}
    for turn in range(TURNS + 1):
        for name, read in contenders.items():
            figures = read()
            if figures["rows"] != ROWS:
                raise SystemExit(f"{name} read {figures['rows']} rows")
            # The first turn warms up.
            if turn > 0:
                turns[name].append(figures)
    report({name: {of: statistics.median(turn[of] for turn in all) for of in ("seconds", "cpu", "peak")} for name, all in turns.items()})


def report(medians):
    print(f"{'':12} {'seconds':>8} {'rows/s':>10} {'CPU µs/row':>11} {'peak MB':>8}")
    for name, of in medians.items():
        print(f"{name:12} {of['seconds']:8.2f} {ROWS / of['seconds']:10.0f} {of['cpu'] / ROWS * 1e6:11.2f} {of['peak'] / 1024:8.0f}")
    ours, cx, adbc, psql = (medians[name] for name in ("nightmark", "connectorx", "ADBC", "psql COPY"))
    goals = {
        ">= 0.8 of psql's COPY": psql["seconds"] / ours["seconds"] >= 0.8,
        ">= 1.3 x connectorx": cx["seconds"] / ours["seconds"] >= 1.3,
        "no slower than ADBC": ours["seconds"] <= adbc["seconds"],
        "<= 2/3 of ADBC's CPU a row": ours["cpu"] <= adbc["cpu"] * 2 / 3,
        "<= 80 MB": ours["peak"] <= 80 * 1024,
    }
    print(f"speed: {psql['seconds'] / ours['seconds']:.2f} of psql, {cx['seconds'] / ours['seconds']:.2f} x connectorx, "
          f"{adbc['seconds'] / ours['seconds']:.2f} x ADBC; CPU {ours['cpu'] / adbc['cpu']:.2f} of ADBC's")
    missed = [goal for goal, met in goals.items() if not met]
    print("all goals met" if not missed else f"missed: {', '.join(missed)}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
