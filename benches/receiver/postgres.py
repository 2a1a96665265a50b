"""A Postgres for the benchmark: its programs from the Debian package, data in a temporary folder, a socket and a port of its own."""

import os
import pathlib
import shutil
import subprocess
import time


def programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise SystemExit("no Postgres here: install the Debian package `postgresql`")
    return found[-1]


class Postgres:
    def __init__(self, folder, port=18_432):
        self.bin, self.folder, self.port = programs(), folder, port
        folder.mkdir(parents=True)
        # The server refuses to run as root.
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] if os.getuid() == 0 else []
        if self.user:
            shutil.chown(folder, "postgres", "postgres")
            for parent in folder.parents:
                if parent.stat().st_uid == 0 and str(parent).startswith("/tmp/"):
                    parent.chmod(0o755)
        data = folder / "data"
        self.run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C")
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen([*self.user, self.bin / "postgres", "-D", data, "-p", str(port), "-k", folder, "-c",
                                             "listen_addresses=127.0.0.1", "-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB"], stderr=log)
        for _ in range(200):
            ready = subprocess.run([self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])
            if ready.returncode == 0:
                return
            time.sleep(0.05)
        raise SystemExit(f"Postgres does not start: {(folder / 'log').read_text()}")

    def run(self, program, *args):
        subprocess.run([*self.user, self.bin / program, *args], check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    def database(self, name):
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"

    def stop(self):
        self.process.terminate()
        self.process.wait()
