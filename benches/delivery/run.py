#!/usr/bin/env python3
"""How fast Nightmark delivers, beside wrk with the same requests against the same server.

    cargo build --release && python3 benches/delivery/run.py          (needs nginx and wrk, Debian packages)

docs/BENCHMARKS.md says what each line means. Every row is changed between two nights; the real program compares, publishes, renders and
sends them and has their receipts in the state store. Progress is on stderr, the result is Markdown.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "diff"))

from measure import child  # noqa: E402
from server import Server  # noqa: E402

TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
# wrk holds its requests ready in memory; so many are enough to be as varied as ours.
WRK_BODIES = 20_000

JOB = """
version = 1

[source]
kind = "files"
path = "orgs.csv"

[diff]
key = "workspace_id"
first_run = "adopt"

[destination]
kind = "http"
url = "{url}/hook/${{BENCH_KEY}}"
concurrency = {connections}
{signing}

[payload]
preset = "flat"
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="changed rows [200000]")
    parser.add_argument("--connections", type=int, default=64, help="of both [64]")
    parser.add_argument("--runs", type=int, default=3, help="the median of so many [3]")
    parser.add_argument("--memory-rows", default="10000,1000000", help="memory while sending, once each; empty: none")
    parser.add_argument("--signing", action="store_true", help="sign each request (Standard Webhooks)")
    parser.add_argument("--workers", type=int, default=1, help="nginx processes [1]")
    parser.add_argument("--wrk-threads", type=int, default=1, help="[1]")
    parser.add_argument("--wrk-seconds", type=int, default=10, help="[10]")
    parser.add_argument("--port", type=int, default=18_080)
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def row(i, night):
    plans = ["free", "pro", "team", "enterprise"]
    status = ["", "active", "expired", "converted"][i // 7 % 4]
    return (f"ws_{i:09}", f"Workspace number {i}", plans[i % 4], plans[i % 4].title(), i % 500 + night, i % 500 * 990, status,
            ["eu", "us"][i % 2])


COLUMNS = ["workspace_id", "workspace_name", "plan_id", "plan_name", "user_count", "mrr", "trial_status", "region"]


def extract(path, rows, night):
    with path.open("w") as file:
        file.write(",".join(COLUMNS) + "\n")
        file.writelines(",".join(map(str, row(i, night))) + "\n" for i in range(rows))


def bodies(path, rows):
    """What the preset `flat` makes of the second night."""
    def text(value):
        return "null" if value == "" else str(value) if isinstance(value, int) else f'"{value}"'
    with path.open("w") as file:
        for i in range(min(rows, WRK_BODIES)):
            file.write("{" + ",".join(f'"{name}":{text(value)}' for name, value in zip(COLUMNS, row(i, 2))) + "}\n")


class Home:
    """A home folder after the first night, in which the second night's extract waits."""

    def __init__(self, folder, binary, url, args, rows):
        self.folder, self.binary, self.rows = folder, binary, rows
        (folder / "jobs").mkdir(parents=True)
        signing = 'signing = "${BENCH_SIGNING}"' if args.signing else ""
        (folder / "jobs" / "orgs.toml").write_text(JOB.format(url=url, connections=args.connections, signing=signing))
        extract(folder / "orgs.csv", rows, 1)
        self.run()
        self.kept = folder.with_suffix(".kept")
        extract(folder / "orgs.csv", rows, 2)
        shutil.copytree(folder, self.kept)

    def command(self, *more):
        return [self.binary, "--home", self.folder, "--json", "run", "orgs", "--approve", *more]

    def run(self, *more):
        os.sync()
        return child(self.command(*more), codes=(0, 1))

    def put_back(self):
        shutil.rmtree(self.folder)
        shutil.copytree(self.kept, self.folder)

    def database(self):
        return sum(f.stat().st_size for f in self.folder.glob("nightmark.db*"))


def delivered(home, server):
    """(rows a second while sending, whole run, run without sending, growth of the state store)."""
    home.put_back()
    unsent = home.run("--no-send")
    home.put_back()
    before, requests = home.database(), server.requests()
    sent = home.run()
    found = sent.printed
    answered = server.requests() - requests - 1
    if found["acknowledged"] != home.rows or answered != home.rows:
        raise SystemExit(f"{found['acknowledged']} acknowledged and {answered} answered, not {home.rows}")
    return home.rows / (sent.wall - unsent.wall), sent, unsent, home.database() - before


def wrk(server, bodies_file, args):
    command = ["wrk", "-t", str(args.wrk_threads), "-c", str(args.connections), "-d", f"{args.wrk_seconds}s", "-s",
               str(HERE / "wrk.lua"), server.url, "--", str(bodies_file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def machine(args):
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(": ")[1] for line in lines if line.startswith("model name")), os.uname().machine)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"Machine: {os.cpu_count()} × {cpu}, load {os.getloadavg()[0]:.1f} at the start; commit {commit}; medians of {args.runs}, "
          f"`{' '.join(sys.argv[1:])}`\n")


def throughput(work, binary, server, args):
    home = Home(work / "home", binary, server.url, args, args.rows)
    bodies(work / "bodies", args.rows)
    ours, theirs, grown = [], [], []
    for turn in range(args.runs):
        theirs.append(wrk(server, work / "bodies", args))
        ours.append(delivered(home, server))
        rate, sent, unsent, growth = ours[-1]
        grown.append(growth)
        say(f"  {turn + 1}/{args.runs} wrk {theirs[-1]:,.0f}/s, Nightmark {rate:,.0f}/s ({rate / theirs[-1]:.2f}), run {sent.wall:.1f} s, "
            f"{sent.cpu:.1f} s CPU, without sending {unsent.wall:.1f} s, {sent.megabytes:.0f} MB, store +{growth / 2**20:.1f} MB")
    rate, ratio = statistics.median(o[0] for o in ours), statistics.median(o[0] / t for o, t in zip(ours, theirs))
    cpu = statistics.median((sent.cpu - unsent.cpu) / args.rows * 1e6 for _, sent, unsent, _ in ours)
    print("| | requests/s | of wrk | CPU a row | peak memory | store per million rows |\n|---|---|---|---|---|---|")
    print(f"| wrk | {statistics.median(theirs):,.0f} | 1 | | | |")
    print(f"| Nightmark | {rate:,.0f} | {ratio:.2f} | {cpu:.0f} µs | {max(o[1].megabytes for o in ours):.0f} MB | "
          f"{statistics.median(grown) / args.rows * 1e6 / 2**20:.1f} MB |")


def resident(pid):
    """Memory of its own, in megabytes: mapped files are the page cache's."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024


def sampled(home, server):
    """What is resident while requests leave: [(share of the rows sent, megabytes)]."""
    home.put_back()
    before, samples = server.requests(), []
    # What planning has freed goes back to the system, so that it does not hide what delivery takes.
    trimmed = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}
    process = subprocess.Popen(home.command(), stdout=subprocess.DEVNULL, env=trimmed)
    polls = 0
    while process.poll() is None:
        polls += 1
        share = (server.requests() - before - polls) / home.rows
        try:
            samples.append((share, resident(process.pid)))
        except (OSError, TypeError):
            break  # it has just ended
        time.sleep(0.02 if home.rows < 100_000 else 0.2)
    process.wait()
    return [(share, size) for share, size in samples if share > 0.02]


def memory(work, binary, server, args):
    print("\n| rows | resident at 10 % sent | at 50 % | at 95 % | most while sending |\n|---|---|---|---|---|")
    for rows in map(int, filter(None, args.memory_rows.split(","))):
        home = Home(work / f"home-{rows}", binary, server.url, args, rows)
        samples = sampled(home, server)
        at = [min(samples, key=lambda s, wanted=wanted: abs(s[0] - wanted))[1] for wanted in (0.1, 0.5, 0.95)]
        cells = [f"{size:.0f} MB" for size in (*at, max(size for _, size in samples))]
        print(f"| {rows:,} | {' | '.join(cells)} |", flush=True)
        shutil.rmtree(home.folder)
        shutil.rmtree(home.kept)


def main():
    args = arguments()
    os.environ |= {"BENCH_KEY": "bench-key", "BENCH_SIGNING": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"}
    binary = pathlib.Path(os.environ.get("NIGHTMARK", TARGET / "release" / "nightmark")).absolute()
    with tempfile.TemporaryDirectory(prefix="nightmark-bench-") as folder:
        work = pathlib.Path(folder)
        server = Server(work / "nginx", args.port, args.workers)
        try:
            machine(args)
            throughput(work, binary, server, args)
            memory(work, binary, server, args)
        finally:
            server.stop()
    print(f"\nLoad at the end: {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
