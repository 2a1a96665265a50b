#!/usr/bin/env bash
# Runs each fuzz target for a minute and tells what came of it. Not part of ./test.sh: it needs a nightly compiler.
#
#   fuzz/run.sh            each target, 60 s
#   fuzz/run.sh SECONDS    each target, as long
#
# A crash ends the run with its input in fuzz/artifacts/TARGET; `cargo +nightly fuzz run TARGET FILE` shows it again.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
targets=(body template key)

command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
rustup toolchain list | grep -q '^nightly' || { echo "a nightly compiler is missing: rustup toolchain install nightly" >&2; exit 1; }

echo "machine: $(nproc) × $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1), $(uname -sr)"
echo "compiler: $(rustc +nightly --version), commit $(git rev-parse --short HEAD)"
for target in "${targets[@]}"; do cargo +nightly fuzz build "$target"; done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in "${targets[@]}"; do
  mkdir -p "fuzz/corpus/$target"
  # New inputs go into the first folder; the seeds stay as they are.
  if ! cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="$seconds" -dict=fuzz/json.dict -max_len=8192 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "$target: FOUND SOMETHING" >&2
    exit 1
  fi
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
  coverage=$(grep -oE 'cov: [0-9]+' "$log" | tail -1)
  corpus=$(grep -oE 'corp: [0-9]+' "$log" | tail -1)
  echo "$target: $executions executions, $rate/s, $coverage edges, $corpus inputs, no crash"
done
