"""Runs a program on a terminal of its own (a pty) and answers its questions.

Standard input: JSON, {"command": [...], "answers": [[what is waited for, what is then written], ...]}.
Standard output: JSON, {"code": exit code, "screen": all that the program has written}.
"""

import json
import os
import pty
import select
import sys
import time

asked = json.load(sys.stdin)
pid, terminal = pty.fork()
if pid == 0:
    os.execv(asked["command"][0], asked["command"])

screen, seen, answers = "", 0, list(asked["answers"])
deadline = time.monotonic() + 120
while True:
    if time.monotonic() > deadline:
        os.kill(pid, 9)
        raise SystemExit(f"no end; waiting for {answers[:1]}; screen: {screen}")
    if not select.select([terminal], [], [], 1)[0]:
        continue
    try:
        read = os.read(terminal, 65536)
    except OSError:  # The program has gone.
        break
    if not read:
        break
    screen += read.decode(errors="replace")
    while answers and answers[0][0] in screen[seen:]:
        wait, answer = answers.pop(0)
        seen = screen.index(wait, seen) + len(wait)
        os.write(terminal, (answer + "\n").encode())
_, status = os.waitpid(pid, 0)
json.dump({"code": os.waitstatus_to_exitcode(status), "screen": screen, "unanswered": answers}, sys.stdout)
