#!/usr/bin/env python3
"""Interrupts code that does different things, and measures how soon control is back.

    TCI_BASE_URL=unix:///run/tcid/tcid.sock test/packages/interrupts.py

The daemon's default image must hold numpy. Prints the medians, and ends with
status 1 when an interrupt did not end the code, or cost the session's variables.
"""

from __future__ import annotations

import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "sdk" / "python"))

import tci
from tci.events import StdoutEvent

ROUNDS = 15
# How long the code runs before it is interrupted, in seconds.
HEAD_START = 0.1
PROGRAMS = {
    "Python loop": "while True: pass",
    "time.sleep": "import time; time.sleep(60)",
    "numpy product": "import numpy as np\na = np.random.rand(700, 700)\nwhile True: a @ a",
    "input()": "import os, sys\nr, w = os.pipe()\nsys.stdin = open(r)\ninput()",
    "subprocess": "import subprocess; subprocess.run(['sleep', '60'])",
    "socket read": "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0)); s.listen()\n"
    "c = socket.create_connection(s.getsockname()); c.recv(1)",
}


def interrupt(session: tci.Session, code: str) -> tuple[float, tci.Execution]:
    """The seconds from the interrupt to the end, and the execution."""
    with session.stream("print('up', flush=True)\n" + code) as stream:
        for event in stream:
            if isinstance(event, StdoutEvent):
                break
        time.sleep(HEAD_START)
        begin = time.monotonic()
        session.interrupt()
        for _ in stream:
            pass
        return time.monotonic() - begin, stream.execution


def main() -> int:
    problems = []
    client = tci.TCIClient()
    with client.sessions.create(language="python") as session:
        session.run("kept = 7; import numpy as np; np.ones((9, 9)) @ np.ones((9, 9))")
        for name, code in PROGRAMS.items():
            took = []
            for _ in range(ROUNDS):
                seconds, execution = interrupt(session, code)
                took.append(seconds * 1000)
                if execution.status != "interrupted" or execution.state_lost:
                    problems.append(f"{name}: {execution.status}, variables lost: {execution.state_lost}")
            print(f"  {name:14} p50 {statistics.median(took):6.1f} ms, slowest {max(took):6.1f} ms")
        if session.run("kept").result != 7:
            problems.append("the variables are gone")
    for problem in problems:
        print(f"FAIL {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
