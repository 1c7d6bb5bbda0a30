#!/usr/bin/env python3
"""Looks at what sessions forked from one zygote have in common, and must not.

    TCI_BASE_URL=unix:///run/tcid/tcid.sock test/packages/forks.py

The daemon's default image must hold numpy, pandas, matplotlib and threadpoolctl.
Prints what it found, and ends with status 1 when something is wrong.
"""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "sdk" / "python"))

import tci

SESSIONS = 50
DRAW = """
import sys
ahead = [m for m in ("IPython", "numpy", "pandas", "matplotlib.pyplot") if m in sys.modules]
import random, uuid, tempfile, ssl, secrets
import numpy as np
result = [np.random.random(), int(np.random.randint(1 << 52)), int(np.random.get_state()[1][0]),
    np.random.default_rng().random(), float(np.random.standard_normal()), random.random(), uuid.uuid1().node,
    uuid.uuid4().hex, next(tempfile._get_candidate_names()), ssl.RAND_bytes(8).hex(), secrets.token_hex(8)]
"""
THREADS = """
import numpy, threadpoolctl, os
result = sorted({p["num_threads"] for p in threadpoolctl.threadpool_info()})
"""

# What a kernel knows before its first cell, and of the cells before.
STATE = """
_ip = get_ipython()
result = [sorted(n for n in globals() if n != "result"), list(In), dict(Out), _i, _ii, _iii, _]
result += [_ip.execution_count, sorted(_ip.user_ns_hidden), _ip.history_manager.input_hist_raw]
result += [_ip.displayhook._, _ip.last_execution_result is None]
result
"""


def states(client: tci.TCIClient, isolation: str) -> list[object]:
    with client.sessions.create(language="python", isolation=isolation) as session:
        return [client.executions.run(session.id, code).result for code in (STATE, "6 * 7", STATE)]


def main() -> int:
    problems = []
    client = tci.TCIClient()
    forked, fresh = states(client, "fork"), states(client, "fresh")
    if forked != fresh:
        problems.append("a forked kernel begins otherwise than a fresh one: %s and %s" % (forked, fresh))
    seen: dict[tuple[int, object], int] = {}
    for n in range(SESSIONS):
        with client.sessions.create(language="python") as session:
            if session.isolation["start"] != "fork":
                problems.append("session %d is not forked: %s" % (n, session.isolation))
            draws = client.executions.run(session.id, DRAW).result
            ahead = client.executions.run(session.id, "ahead").result
            if ahead != ["IPython", "numpy", "pandas", "matplotlib.pyplot"]:
                problems.append("session %d: only %s were imported ahead" % (n, ahead))
        for place, value in enumerate(draws):
            if (place, value) in seen:
                problems.append("sessions %d and %d drew %r" % (seen[place, value], n, value))
            seen[place, value] = n
    print("%d sessions drew %d different numbers" % (SESSIONS, len(seen)))
    for cpus in (1, 2):
        with client.sessions.create(language="python", resources={"cpus": cpus}) as session:
            threads = client.executions.run(session.id, THREADS).result
            print("%d processors: libraries use %s threads" % (cpus, threads))
            if threads != [cpus]:
                problems.append("with %d processors libraries use %s threads" % (cpus, threads))
    for problem in problems[:20]:
        print("FAIL " + problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
