#!/usr/bin/env bash
# Everything that must pass: format, lints, licences, tests. Installs what the tests need, runs them, cleans up.
# A missing tool is a failure, never a skip.
#
#   ./test.sh            all of it
#   ./test.sh NAME …     only the tests whose names contain NAME (no lints)
#   ./test.sh --tools    only install what tests and benchmarks need
set -euo pipefail
cd "$(dirname "$0")"

# Tests hold some two thousand connections at a time, with both ends in one process.
files=8192
if [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt $files ] && ! ulimit -n $files 2>/dev/null; then
  echo "$files open files are needed, this shell may have $(ulimit -Hn); raise the limit (ulimit -Hn, limits.conf)" >&2
  exit 1
fi

step() { printf '\n== %s\n' "$*"; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Installs a Debian package without starting what it brings: the tests start servers for themselves, on ports of their own.
install() {
  local policy=/usr/sbin/policy-rc.d ours=
  step "installing $1"
  if [ ! -e $policy ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
  fi
  local code=0
  { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null; } || code=$?
  [ -z "$ours" ] || as_root rm -f $policy
  return $code
}

# Debian packages, only where a command is missing.
need() {
  local command=$1
  shift
  command -v "$command" >/dev/null || install "$@"
}
need cc build-essential
need curl curl
need python3 python3
need node nodejs
need npm npm
need nginx nginx
need ssh-keygen openssh-client
[ -x /usr/sbin/sshd ] || install openssh-server
need sqlite3 sqlite3
# Spark, which a source is tested on, is in a Python package but for its Java.
need java openjdk-17-jre-headless
node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || { echo "Node 20 or later is needed (Segment's SDK asks for it); this is $(node --version)" >&2; exit 1; }
# The state store is tested on a real Postgres, which the tests start for themselves: the system's own cluster is not wanted.
if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && ! command -v postgres >/dev/null; then
  as_root mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
  install postgresql
fi
# Sources are tested behind a pooler as well.
[ -x /usr/sbin/pgbouncer ] || install pgbouncer
# The source `mysql` is tested on a real MariaDB.
[ -x /usr/sbin/mariadbd ] || command -v mariadbd >/dev/null || install mariadb-server
# The metrics, alert rules and their tests are Prometheus' to judge.
need promtool prometheus
# Postgres does not run as root; the tests step down to its own user.
need setpriv util-linux
# Completions are tested in the shells, manual pages by those who show them.
need zsh zsh
need fish fish
need man man-db
need mandoc mandoc
# The packaging of docker/ is linted and, as far as it can be, run (tests/it/packaging).
need systemd-analyze systemd
need strace strace
need ip iproute2
# Without the engine, which it could not be used with here.
need docker-compose docker-compose --no-install-recommends
need kubectl kubernetes-client
# Full and read-only disks are made in a mount namespace.
need unshare util-linux
need nsenter util-linux
python3 -c 'import ensurepip' 2>/dev/null || install python3-venv

# Python packages go into an ignored folder.
tools=$PWD/.tools
if ! "$tools/venv/bin/python" -c 'import duckdb' 2>/dev/null; then
  step "installing duckdb (it reads our snapshots in a test)"
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check 'duckdb==1.*'
fi
if ! cmp -s tests/python/requirements.txt "$tools/venv/.sdks"; then
  step "installing the packages of tests/python (SDKs that call our receiver, drivers and a Spark that sources are tested with)"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/python/requirements.txt
  cp tests/python/requirements.txt "$tools/venv/.sdks"
fi
export NIGHTMARK_TEST_PYTHON=$tools/venv/bin/python
if ! cmp -s tests/python/dbt.txt "$tools/dbt/.installed"; then
  step "installing dbt (it compiles a model in a test)"
  python3 -m venv "$tools/dbt"
  "$tools/dbt/bin/pip" install --quiet --disable-pip-version-check --no-compile -r tests/python/dbt.txt
  cp tests/python/dbt.txt "$tools/dbt/.installed"
fi
export NIGHTMARK_TEST_DBT=$tools/dbt/bin/dbt

# npm packages: what our templates are compared with, and what talks to us. Installed anew whenever the lock file changes.
js=$PWD/tests/js
if ! cmp -s "$js/package-lock.json" "$js/node_modules/.installed"; then
  step "installing the npm packages of tests/js"
  npm ci --prefix "$js" --loglevel=error
  cp "$js/package-lock.json" "$js/node_modules/.installed"
fi
export NIGHTMARK_TEST_JS=$js

if [ "${1:-}" = --tools ]; then
  if ! "$tools/venv/bin/python" -c 'import polars' 2>/dev/null; then
    step "installing polars (the benchmark compares with it)"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check 'polars==2.*'
  fi
  if ! "$tools/venv/bin/python" -c 'import adbc_driver_postgresql, connectorx, pyarrow' 2>/dev/null; then
    step "installing connectorx and ADBC's Postgres driver (the benchmark of the sources compares with them)"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check 'connectorx==0.4.6' 'adbc-driver-postgresql==1.*' pyarrow
  fi
  exit
fi
if [ $# -gt 0 ]; then
  exec cargo test --features failpoints --lib --test it -- "$@"
fi

deny_version=0.20.2
deny=${CARGO_TARGET_DIR:-$PWD/target}/tools/bin/cargo-deny
if ! "$deny" --version 2>/dev/null | grep -qF "$deny_version"; then
  step "installing cargo-deny $deny_version"
  # A build folder of its own, thrown away: only the program is kept. Not optimised: it looks at a list, and is built in a third of the time.
  build=$(mktemp -d)
  trap 'rm -rf "$build"' EXIT
  CARGO_TARGET_DIR=$build cargo install cargo-deny --version "$deny_version" --locked --debug --quiet --root "$(dirname "$(dirname "$deny")")"
fi

step "cargo fmt --all --check"
cargo fmt --all --check
step "cargo clippy"
cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings
step "cargo deny: licences, bans, sources"
# Advisories need the network at large: run `cargo deny check advisories` where there is one.
"$deny" --log-level error check licenses bans sources
step "cargo check: fuzz targets"
# A workspace of its own, which includes files of this one. Running them is fuzz/run.sh's.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/fuzz cargo check --quiet --locked --manifest-path fuzz/Cargo.toml
step "a normal build has no failpoints"
# The library alone, as the tests have it built: so the dependencies are built once, and the check is shown to find what it looks for.
marks='manifest\.before_rename'
library() {
  cargo test --quiet --no-run --bin nightmark --message-format json-render-diagnostics "$@" |
    python3 -c 'import json, sys
for line in sys.stdin:
    made = json.loads(line)
    if made["reason"] == "compiler-artifact" and made["target"]["kind"] == ["lib"] and made["target"]["name"] == "nightmark" and not made["profile"]["test"]:
        print(*(file for file in made["filenames"] if file.endswith(".rlib")))'
}
# By themselves, so that a build that fails ends the script.
with=$(library --features failpoints)
without=$(library)
[ -f "$with" ] && [ -f "$without" ] || { echo "which libraries were built is not known: '$with', '$without'" >&2; exit 1; }
if ! grep -qaE "$marks" "$with"; then
  echo "the marks of src/failpoint.rs are not found in a build that has them" >&2
  exit 1
fi
if grep -qaE "$marks" "$without"; then
  echo "the marks of src/failpoint.rs are in a build without the feature" >&2
  exit 1
fi
# Many tests wait for a process or a clock, so that a thread for each core leaves cores idle.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) + 1))}
# The crash tests kill the program at marks that only this feature has.
step "cargo test"
cargo test --features failpoints --lib --test it
