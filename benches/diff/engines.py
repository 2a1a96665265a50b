"""What is timed, as commands: decoding alone, Nightmark, DuckDB, polars. Nothing is run here but what prepares a command."""

import dataclasses
import pathlib
import shutil
import sys
from typing import Callable

HERE = pathlib.Path(__file__).parent
ENGINES = ["decode", "nightmark", "duckdb", "polars"]
DECODE, COMPARE, RUN, ADOPT = "decode", "comparison", "run", "adopting run"
DUCKDB, DUCKDB_SNAPSHOT, POLARS = "DuckDB", "DuckDB + snapshot", "polars"

# `on` has removals, so that all three operations are in the change set; removals need a template that says so.
JOB = """version = 1
[source]
kind = "files"
path = "{path}"
{query}
[diff]
key = "workspace_id"
on = ["added", "changed", "removed"]
first_run = "adopt"
[destination]
kind = "http"
url = "http://127.0.0.1:9/"
[payload]
template = '{{"id": "{{{{row.workspace_id}}}}", "op": "{{{{op}}}}"}}'
"""


@dataclasses.dataclass
class Timed:
    """A command, and where its answer is checked: in the JSON that it prints, in the change set that it writes, or both."""

    label: str
    args: list
    changes: pathlib.Path | None = None
    prints_counts: bool = False
    prepare: Callable[[], None] = lambda: None
    codes: tuple = (0,)


class Nightmark:
    """A home folder with one job, `orgs`, and what it knew after night 1."""

    def __init__(self, binary, folder, memory, query, old):
        self.binary, self.folder, self.old = binary, folder, old
        self.home, self.known = folder / "home", folder / "known"
        self.memory = ["--memory", memory] if memory else []
        self.query = 'query = "SELECT * FROM extract WHERE user_count >= 0"' if query else ""

    def command(self, *args):
        return [self.binary, "--home", self.home, *args, *self.memory, "--json"]

    def point_at(self, extract):
        (self.home / "jobs").mkdir(parents=True, exist_ok=True)
        (self.home / "jobs" / "orgs.toml").write_text(JOB.format(path=extract.absolute(), query=self.query))

    def adopt(self, night1):
        """The first run, from an empty home: takes night 1 as known and sends nothing."""
        for folder in (self.home, self.known):
            shutil.rmtree(folder, ignore_errors=True)
        self.point_at(night1)
        return Timed(ADOPT, self.command("run", "orgs"))

    def keep(self):
        """Keeps what was adopted, to start every run from it."""
        shutil.copytree(self.home, self.known)

    def restore(self, night2):
        shutil.rmtree(self.home)
        shutil.copytree(self.known, self.home)
        self.point_at(night2)

    def timed(self, night2):
        """The comparison alone, and the run that publishes it. What a run leaves pending may make its exit code 1."""
        # What an earlier run left pending is another night's work, also for a preview.
        restore = lambda: self.restore(night2)  # noqa: E731
        preview = self.command("preview", "orgs", "--limit", "0")
        if self.old:
            return [Timed(COMPARE, preview, prints_counts=True, prepare=restore)]
        changes = self.folder / "nightmark.parquet"
        run = Timed(RUN, self.command("run", "orgs", "--no-send"), None, True, restore, (0, 1))
        return [Timed(COMPARE, [*preview, "--output", changes], changes, True, restore), run]


def rivals(engines, night1, night2, folder, decode):
    """The floor and the other engines, each as a process of its own."""
    python, found = sys.executable, []
    if "decode" in engines and night2.suffix == ".parquet":
        found.append(Timed(DECODE, [decode, night2]))
    if "duckdb" in engines:
        script, changes = HERE / "duckdb_join.py", folder / "duckdb.parquet"
        found.append(Timed(DUCKDB, [python, script, night1, night2, changes], changes))
        both = [python, script, night1, night2, changes, folder / "duckdb-snapshot.parquet"]
        found.append(Timed(DUCKDB_SNAPSHOT, both, changes))
    if "polars" in engines:
        changes = folder / "polars.parquet"
        found.append(Timed(POLARS, [python, HERE / "polars_join.py", night1, night2, changes], changes))
    return found
