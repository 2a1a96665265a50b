#!/usr/bin/env python3
"""How fast Nightmark finds what differs between two nights, beside decoding alone, DuckDB and polars.

    cargo build --release && ./test.sh --tools && .tools/venv/bin/python benches/diff/run.py

docs/BENCHMARKS.md says what each line means. One run makes the extracts, takes turns between the engines, checks that all of them
found the same changes, and prints Markdown. Progress is on stderr.
"""

import argparse
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tempfile

import report
from engines import ADOPT, DECODE, ENGINES, HERE, Nightmark, rivals
from measure import child

ROOT = HERE.parent.parent
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
OPERATIONS = ["added", "changed", "removed"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000000,10000000", help="multiples of 1000 [1000000,10000000]")
    parser.add_argument("--only", default="parquet,csv", metavar="FORMATS", help="[parquet,csv]")
    parser.add_argument("--order", default="same,random", help="night 2 in night 1's order, or shuffled [same,random]")
    parser.add_argument("--engine", default=",".join(ENGINES), help=f"[{','.join(ENGINES)}]")
    parser.add_argument("--runs", type=int, default=3, help="the median of so many [3]")
    parser.add_argument("--memory", metavar="SIZE", help="given on to nightmark preview and run")
    parser.add_argument("--query", action="store_true", help="Nightmark reads through a SQL model")
    parser.add_argument("--data", type=pathlib.Path, help="keeps the extracts there [a temporary folder]")
    parser.add_argument("--old-binary", action="store_true", help="without `preview --output` and `run --no-send`")
    args = parser.parse_args()
    args.rows = [int(n.replace("_", "")) for n in args.rows.split(",")]
    for name, known in [("only", ["parquet", "csv"]), ("order", ["same", "random"]), ("engine", ENGINES)]:
        chosen = getattr(args, name).split(",")
        if not set(chosen) <= set(known):
            parser.error(f"--{name}: {','.join(known)}")
        setattr(args, name, chosen)
    return args


def say(text):
    print(text, file=sys.stderr, flush=True)


def machine(binary, args):
    """The line above the tables: what it ran on, and what else was going on."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(": ")[1] for line in lines if line.startswith("model name")), os.uname().machine)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("duckdb", "polars") if name in args.engine]
    load = "%.1f" % os.getloadavg()[0]
    print(f"Machine: {os.cpu_count()} × {cpu}, {memory:.0f} GiB, load {load} at the start; "
          + ", ".join([f"commit {commit}", *versions]) + f"; medians of {args.runs}, `{' '.join(sys.argv[1:])}`")


def extract(data, rows, ext, night, order):
    """A night's file, made if it is not there, and read once so that every engine finds it in the page cache."""
    name = f"orgs-{rows}-night{night}{'-' + order if night == 2 else ''}.{ext}"
    path = data / name
    if not path.exists():
        say(f"making {name}")
        child([sys.executable, HERE / "extracts.py", rows, ext, night, order, path])
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
    return path


def check(timed, measured, rows, digests):
    """Everything that an engine says about the changes has to be true, and the keys the same as every other engine's."""
    expected = {"added": rows // 1000, "changed": rows // 100, "removed": rows // 1000}
    found = []
    if timed.prints_counts:
        found.append({op: measured.printed[op] for op in OPERATIONS})
    if timed.changes:
        counted = child([sys.executable, HERE / "counts.py", timed.changes]).printed
        found.append({op: count for op, (count, _) in counted.items()})
        for op, (_, digest) in counted.items():
            if digest is not None and digests.setdefault(op, digest) != digest:
                raise SystemExit(f"{timed.label}: other orgs were {op} than another engine found")
        timed.changes.unlink()
    if timed.label == DECODE and measured.printed["rows"] != rows:
        raise SystemExit(f"decode: {measured.printed['rows']} rows, not {rows}")
    for counts in found:
        if counts != expected:
            raise SystemExit(f"{timed.label}: found {counts}, but there are {expected}")


def timed_child(one):
    """Starts from a disk at rest: an fsync would wait for what an engine before it has written."""
    os.sync()
    return child(one.args, one.codes)


def measure(timed, args, rows):
    """All engines in turn, as often as asked for."""
    measured, digests = {}, {}
    for turn in range(args.runs):
        for one in timed:
            one.prepare()
            result = timed_child(one)
            check(one, result, rows, digests)
            measured.setdefault(one.label, []).append(result)
            say(f"  {turn + 1}/{args.runs} {one.label}: {result.wall:.2f} s, {result.megabytes:.0f} MB")
    return measured


def cases(args, data, work, binary, decode):
    """{(rows, format, order): {label: [Measured]}}; the adopting run has no order."""
    found = {}
    for rows in args.rows:
        for ext in args.only:
            nightmark = None
            night1 = extract(data, rows, ext, 1, "same")
            if "nightmark" in args.engine:
                nightmark = Nightmark(binary, work, args.memory, args.query, args.old_binary)
                found[rows, ext, ""] = {ADOPT: [timed_child(nightmark.adopt(night1))]}
                report.figures((rows, ext, ""), found[rows, ext, ""])
                nightmark.keep()
            for order in args.order:
                say(f"{rows:,} rows, {ext}, {order} order")
                night2 = extract(data, rows, ext, 2, order)
                timed = rivals(args.engine, night1, night2, work, decode)
                timed += nightmark.timed(night2) if nightmark else []
                found[rows, ext, order] = measure(timed, args, rows)
                report.figures((rows, ext, order), found[rows, ext, order])
    return found


def main():
    args = arguments()
    binary = pathlib.Path(os.environ.get("NIGHTMARK", TARGET / "release" / "nightmark")).absolute()
    decode = TARGET / "release" / "nightmark-decode"
    if "decode" in args.engine and "parquet" in args.only:
        subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "nightmark-decode"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="nightmark-bench-") as folder:
        work = pathlib.Path(folder)
        data = args.data or work / "data"
        data.mkdir(parents=True, exist_ok=True)
        machine(binary, args)
        report.figures_head()
        found = cases(args, data.absolute(), work, binary, decode)
    print(f"\nLoad at the end: {os.getloadavg()[0]:.1f}; with more than the engine's own threads read CPU and fastest, not wall.")
    report.ratios(found)
    report.growth(found)


if __name__ == "__main__":
    main()
