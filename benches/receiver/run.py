#!/usr/bin/env python3
"""How much the receiver takes in, beside the same server with a handler that stores nothing.

    cargo build --release -p nightmark -p nightmark-receiver-bench && python3 benches/receiver/run.py     (needs wrk; --postgres: a server's programs)

docs/BENCHMARKS.md says what each line means. Both servers are real processes with the same settings; wrk's turns on them alternate. Progress is
on stderr, the result is Markdown. --only throughput,updates,slow,memory runs a part.
"""

import argparse
import json
import os
import pathlib
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
SETTINGS = """
[receiver]
address = "127.0.0.1:0"
connections = 4096
connections_per_address = 4096
rate = 1000000
[admin]
address = "127.0.0.1:0"
{store}
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="throughput,updates,slow,memory")
    parser.add_argument("--connections", default="64,256")
    parser.add_argument("--turns", type=int, default=3, help="of each server; the median counts [3]")
    parser.add_argument("--seconds", type=int, default=10, help="of a turn [10]")
    parser.add_argument("--orgs", type=int, default=1_000_000, help="in the table that updates go to [1000000]")
    parser.add_argument("--memory-minutes", type=float, default=10)
    parser.add_argument("--slow-clients", type=int, default=1000)
    parser.add_argument("--postgres", action="store_true", help="beside SQLite, also a Postgres started for this (see postgres.py)")
    parser.add_argument("--folder", help="where the stores lie [the temporary folder]")
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def probe(folder):
    """Milliseconds of a 4-KB append with fdatasync: (median, 99 of 100)."""
    times = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(300):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times), sorted(times)[int(len(times) * 0.99)]


class Server:
    """A receiver with a home folder of its own."""

    def __init__(self, folder, kind, store="", orgs=0):
        self.kind, self.folder = kind, folder
        folder.mkdir(parents=True)
        (folder / "nightmark.toml").write_text(SETTINGS.format(store=store))
        self.key = json.loads(self.said("--json", "keys", "create", "--name", "bench"))["key"]
        if orgs:
            subprocess.run([TARGET / "nightmark-receiver-bench", "fill", folder, str(orgs)], check=True)
        ready = folder / "ready"
        program = [TARGET / "nightmark-receiver-bench", "noop", folder, ready] if kind == "no-op" else \
            [TARGET / "nightmark", "--home", folder, "serve", "--ready-file", ready]
        self.process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=(folder / "log").open("wb"))
        while not ready.exists():
            if self.process.poll() is not None:
                raise SystemExit(f"{kind} ended: {(folder / 'log').read_text()}")
            time.sleep(0.05)
        self.port = int(json.loads(ready.read_text())["receiver"].rsplit(":", 1)[1])

    def said(self, *args):
        return subprocess.run([TARGET / "nightmark", "--home", self.folder, *args], check=True, capture_output=True, text=True).stdout

    def wrk(self, connections, seconds, orgs="new", pause=0, threads=2, plain=False):
        command = ["wrk", "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s", "-s", HERE / "wrk.lua",
                   f"http://127.0.0.1:{self.port}", "--", self.key, str(orgs), secrets.token_hex(4), str(pause), "plain" if plain else "ids"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(re.search(r"RESULT (.*)", said)[1])
        if found["bad"] or found["broken"]:
            raise SystemExit(f"{self.kind}: {found}\n{said}\n{(self.folder / 'log').read_text()[-2000:]}")
        return found | {"rate": found["requests"] / found["seconds"]}

    def stored(self):
        """Updates that the store has counted for the key."""
        return json.loads(self.said("--json", "keys", "list"))[0]["counts"]["stored"]

    def resident(self):
        return int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def alternate(servers, turns, run):
    found = {server.kind: [] for server in servers}
    for turn in range(turns):
        for server in servers:
            found[server.kind].append(run(server))
            last = found[server.kind][-1]
            say(f"  {turn + 1}/{turns} {server.kind}: {last['rate']:,.0f}/s, p50 {last['p50_ms']:.1f} ms, p99 {last['p99_ms']:.1f} ms")
    return found


def median(found, what):
    return statistics.median(turn[what] for turn in found)


def lines(label, found):
    """Ratios are medians of the ratios of each turn: what ran side by side is compared."""
    base = found["no-op"]
    for kind, turns in found.items():
        ratio = statistics.median(own["rate"] / other["rate"] for own, other in zip(turns, base))
        tail = statistics.median(own["p99_ms"] / other["p99_ms"] for own, other in zip(turns, base))
        print(f"| {label} | {kind} | {median(turns, 'rate'):,.0f} | {ratio:.2f} | {median(turns, 'p50_ms'):.1f} ms | "
              f"{median(turns, 'p99_ms'):.1f} ms | {tail:.2f} |", flush=True)


def compared(args, servers, orgs, plain=False):
    for connections in map(int, args.connections.split(",")):
        before = {server.kind: server.stored() for server in servers if server.kind != "no-op"}
        found = alternate(servers, args.turns, lambda server: server.wrk(connections, args.seconds, orgs, plain=plain))
        for server in servers:
            if server.kind == "no-op":
                continue
            # wrk ends in the middle of requests: what it did not wait for may have been stored, too.
            sent = sum(turn["requests"] for turn in found[server.kind])
            stored = server.stored() - before[server.kind]
            if not sent <= stored <= sent + connections * args.turns:
                raise SystemExit(f"{server.kind}: {sent} answered, {stored} stored")
        kind = "new orgs" if orgs == "new" else "updates"
        lines(f"{kind}{' without ids of their own' if plain else ''}, {connections} connections", found)


HEAD = "| load | store | upserts/s | of the no-op | p50 | p99 | of the no-op's |\n|---|---|---|---|---|---|---|"


def throughput(work, args, extra):
    servers = [Server(work / "noop", "no-op"), Server(work / "sqlite", "SQLite")]
    servers += [Server(work / f"{kind}-new", kind, store) for kind, store in extra("new")]
    compared(args, servers, "new")
    compared(args, servers, "new", plain=True)
    for server in servers:
        server.stop()


def updates(work, args, extra):
    say(f"filling tables with {args.orgs:,} orgs")
    servers = [Server(work / "noop-u", "no-op"), Server(work / "sqlite-u", "SQLite", orgs=args.orgs)]
    servers += [Server(work / f"{kind}-u", kind, store, orgs=args.orgs) for kind, store in extra("updates")]
    compared(args, servers, args.orgs)
    for server in servers:
        server.stop()


def slow(work, args):
    """Good traffic with and without slow clients, in turns on one server."""
    server = Server(work / "slow", "SQLite")
    without, beside = [], []
    for turn in range(args.turns):
        without.append(server.wrk(64, args.seconds))
        crowd = subprocess.Popen([sys.executable, HERE / "slow.py", str(server.port), str(args.slow_clients)], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        held = int(crowd.stdout.readline())
        beside.append(server.wrk(64, args.seconds))
        crowd.stdin.close()
        after = int(crowd.stdout.readline())
        crowd.wait()
        say(f"  {turn + 1}/{args.turns} {without[-1]['rate']:,.0f}/s, beside {held} to {after} slow clients {beside[-1]['rate']:,.0f}/s")
    server.stop()
    ratio = statistics.median(b["rate"] / w["rate"] for b, w in zip(beside, without))
    print(f"\nBeside {args.slow_clients:,} slow clients: {median(beside, 'rate'):,.0f} instead of {median(without, 'rate'):,.0f} upserts/s "
          f"({ratio:.2f}), p99 {median(beside, 'p99_ms'):.1f} instead of {median(without, 'p99_ms'):.1f} ms.")


def memory(work, args):
    """Resident memory under 2,000 upserts a second."""
    server = Server(work / "memory", "SQLite")
    seconds = int(args.memory_minutes * 60)
    samples = []
    done = threading.Event()

    def watch():
        began = time.monotonic()
        while not done.wait(2):
            samples.append((time.monotonic() - began, server.resident()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    # 64 connections, each of which waits 31 ms between two requests: 2,000 a second, less the time of the answers.
    found = server.wrk(64, seconds, pause=30)
    done.set()
    watcher.join()
    tenth = max(1, len(samples) // 10)
    means = [statistics.mean(size for _, size in samples[i * tenth:(i + 1) * tenth]) for i in range(10)]
    size = sum(f.stat().st_size for f in (work / "memory").glob("nightmark.db*")) / 2**20
    server.stop()
    print(f"\nMemory over {seconds} s at {found['rate']:,.0f} upserts/s, means of tenths: {', '.join(f'{m:.0f}' for m in means)} MB, at most "
          f"{max(size for _, size in samples):.0f} MB; the store then has {size:.0f} MB.")


def machine(work):
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(": ")[1] for line in lines if line.startswith("model name")), os.uname().machine)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    mid, tail = probe(work)
    print(f"Machine: {os.cpu_count()} × {cpu}, load {os.getloadavg()[0]:.1f} at the start; commit {commit}; `{' '.join(sys.argv[1:])}`; "
          f"4 KB with fdatasync: {mid:.2f} ms, 99 of 100 under {tail:.2f} ms.\n", flush=True)


def main():
    args = arguments()
    parts = args.only.split(",")
    with tempfile.TemporaryDirectory(prefix="nightmark-bench-", dir=args.folder) as folder:
        work = pathlib.Path(folder)
        # Another user's server may have to pass through it.
        work.chmod(0o711)
        machine(work)
        extra = lambda name: []  # noqa: E731
        server = None
        if args.postgres:
            from postgres import Postgres
            server = Postgres(work / "postgres")
            extra = lambda name: [("Postgres", f'[store]\nurl = "{server.database(name)}"')]  # noqa: E731
        try:
            if "throughput" in parts or "updates" in parts:
                print(HEAD)
            if "throughput" in parts:
                throughput(work, args, extra)
            if "updates" in parts:
                updates(work, args, extra)
            if "slow" in parts:
                slow(work, args)
            if "memory" in parts:
                memory(work, args)
        finally:
            if server:
                server.stop()
        mid, tail = probe(work)
    print(f"\nLoad at the end: {os.getloadavg()[0]:.1f}; 4 KB with fdatasync: {mid:.2f} ms, 99 of 100 under {tail:.2f} ms.")


if __name__ == "__main__":
    main()
