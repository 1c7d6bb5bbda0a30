"""Clients that are killed while they read a stream, against a real daemon at
TCI_BASE_URL: whoever goes on behind the last event gets every event once, in
order. Prints what it did and how long that took.

    python3 sdk/python/tests/resume.py [KILLS]
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
import time
from datetime import datetime, timezone
from typing import IO, Any, Callable

from tci import ExecutionStream, TCIClient

MIB = 1 << 20
#: Pieces of output of each execution that is read by a client that is killed.
PIECES = 40
# Pieces of one stream that come close to each other would be one event.
SMALL = """
import sys, time
for i in range({pieces}):
    print('piece', i, file=(sys.stdout, sys.stderr)[i % 2], flush=True)
    time.sleep(0.001)
"""
#: Bytes of a write and writes per second of the output that flows: 8 MiB/s.
CHUNK, RATE = 1 << 15, 256
#: Seconds behind which a reader has not caught up.
CAUGHT_UP = 0.2
FLOW = """
import os, time
begin, n = time.monotonic(), 0
while not os.path.exists('stop'):
    os.write(1, (b'%09d ' % n * {size})[:{size}])
    n += 1
    time.sleep(max(0, begin + n / {rate} - time.monotonic()))
[n, time.monotonic() - begin]
"""


def read_in_child(open_stream: Callable[[TCIClient], ExecutionStream]) -> tuple[int, IO[bytes]]:
    """Reads a stream in a process of its own, which writes each event into a pipe
    as soon as it has it. Returns the process and the pipe's end."""
    source, sink = os.pipe()
    pid = os.fork()
    if pid:
        os.close(sink)
        return pid, os.fdopen(source, "rb")
    try:
        os.close(source)
        with os.fdopen(sink, "wb") as pipe, open_stream(TCIClient()) as stream:
            pipe.write(json.dumps({"id": stream.execution_id}).encode() + b"\n")
            pipe.flush()
            for event in stream:
                pipe.write(json.dumps(told(event)).encode() + b"\n")
                pipe.flush()
        os._exit(0)
    finally:
        os._exit(1)


def told(event: Any) -> list[Any]:
    """An event as the test compares it."""
    return [event.seq, event.type, event.time, getattr(event, "text", None)]


def kill_after(
    pid: int, pipe: IO[bytes], events: int, behind: float = math.inf
) -> tuple[str, list[list[Any]]]:
    """Kills the process when it has got so many events, and is at most so many
    seconds behind. Returns the execution and all events that it got."""
    with pipe:
        execution_id = json.loads(pipe.readline())["id"]
        lines = []
        while len(lines) < events or age(lines) > behind:
            lines.append(pipe.readline())
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        lines += pipe.readlines()
    # The last line may be half an event, which the client has not got.
    return execution_id, [json.loads(line) for line in lines if line.endswith(b"\n")]


def age(lines: list[bytes]) -> float:
    """How old the last of these events is, in seconds."""
    if not lines or not lines[-1]:
        return 0.0
    told_at = datetime.fromisoformat(json.loads(lines[-1])[2].replace("Z", "+00:00"))
    return (datetime.now(timezone.utc) - told_at).total_seconds()


def check(seen: list[list[Any]], what: str) -> None:
    """Exits unless each event is there once, in order."""
    for number, event in enumerate(seen, 1):
        if event[0] != number or event[1] == "truncated":
            sys.exit(f"resume: {what}: in the place of event {number} is {event[:3]}")
    if seen[-1][1] != "finished":
        sys.exit(f"resume: {what}: the last event is {seen[-1][:3]}")


def many_clients(kills: int) -> None:
    """Each kills a client at a random event of an execution of its own, and goes
    on behind the last event that it got."""
    began = time.monotonic()
    wanted = ["".join(f"piece {i}\n" for i in range(first, PIECES, 2)) for first in (0, 1)]
    code = SMALL.format(pieces=PIECES)
    total = early = 0
    with TCIClient() as client, client.sessions.create() as session:
        for n in range(kills):
            pid, pipe = read_in_child(lambda c: c.executions.stream(session.id, code, detach=True))
            execution_id, seen = kill_after(pid, pipe, random.randrange(PIECES // 2))
            early += not seen or seen[-1][1] != "finished"
            with client.executions.resume(execution_id, seen[-1][0] if seen else 0) as stream:
                seen += [told(event) for event in stream]
            check(seen, f"kill {n}")
            texts = ["".join(e[3] for e in seen if e[1] == kind) for kind in ("stdout", "stderr")]
            assert stream.execution is not None
            if texts != wanted or [stream.execution.stdout, stream.execution.stderr] != wanted:
                sys.exit(f"resume: kill {n}: the output is {texts}")
            with client.executions.resume(execution_id) as stream:
                if [told(event) for event in stream] != seen:
                    sys.exit(f"resume: kill {n}: an unbroken stream has other events")
            total += len(seen)
    print(f"{kills} clients killed, each at a random event of its own execution", end=" ")
    print(f"({early} before its end):", end=" ")
    print(f"{total} events, each once and in order, in {time.monotonic() - began:.1f} s")


def one_flow(kills: int) -> None:
    """Clients of one execution, whose output flows: each goes on behind the last
    event that the one before it got, and is killed at a random event."""
    began = time.monotonic()
    seen: list[list[Any]] = []
    with TCIClient() as client, client.sessions.create() as session:
        code = FLOW.format(size=CHUNK, rate=RATE)
        execution = session.start(code, timeout=300, max_output_bytes=64 * MIB)
        for n in range(kills):
            after = seen[-1][0] if seen else 0
            pid, pipe = read_in_child(lambda c, after=after: c.executions.resume(execution.id, after))
            # Every other one while it still reads what has gathered meanwhile;
            # the others first catch up, since the daemon keeps 64 MiB.
            behind = CAUGHT_UP if n % 2 else math.inf
            seen += kill_after(pid, pipe, random.randrange(20), behind)[1]
        session.files.upload("stop", b"")
        with client.executions.resume(execution.id, seen[-1][0]) as stream:
            seen += [told(event) for event in stream]
    check(seen, "the flow")
    assert stream.execution is not None
    writes, seconds = stream.execution.result
    text = "".join(e[3] for e in seen if e[1] == "stdout")
    if text != "".join((f"{n:09d} " * CHUNK)[:CHUNK] for n in range(writes)):
        sys.exit(f"resume: the flow: {len(text)} bytes arrived, which are not the {writes * CHUNK} written")
    print(f"{kills} clients killed, one after the other, at random events of one execution:", end=" ")
    print(f"{len(text) / MIB:.0f} MiB at {len(text) / MIB / seconds:.1f} MiB/s, {len(seen)} events,", end=" ")
    print(f"each once and in order, in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    KILLS = int(sys.argv[1]) if sys.argv[1:] else 200
    many_clients(KILLS)
    one_flow(KILLS)
