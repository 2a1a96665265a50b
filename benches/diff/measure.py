"""One child process: wall and CPU seconds, peak resident memory as the kernel accounts it, and the JSON that it printed.

The kernel starts a child's peak at the memory of the process that forks it. So this process must stay small: whatever needs
DuckDB or polars is a child too. Memory-mapped files count where a program maps its input.
"""

import dataclasses
import json
import os
import resource
import subprocess
import tempfile
import time

SMALL = 64 * 1024  # kilobytes


@dataclasses.dataclass
class Measured:
    wall: float
    cpu: float
    megabytes: float
    printed: dict


def child(args, codes=(0,)):
    """Runs a command to its end. Any exit code but those expected is an error that shows what it said."""
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < SMALL, "this process has grown: children would seem bigger"
    with tempfile.TemporaryFile() as errors:
        started = time.monotonic()
        process = subprocess.Popen([str(a) for a in args], stdout=subprocess.PIPE, stderr=errors)
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in codes:
            errors.seek(0)
            said = output[-2000:] + errors.read()[-4000:].decode(errors="replace")
            raise SystemExit(f"exit code {process.returncode} of {' '.join(map(str, args))}\n{said}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, json.loads(output) if output.strip() else {})
