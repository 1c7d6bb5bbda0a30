"""Hundreds of executions at once from one event loop, against a real daemon at
TCI_BASE_URL, a Unix socket: all of them under way together, each session's in the
order in which they were sent. It needs httpx. Prints how long that took.

    python3 sdk/python/tests/aio/many.py [SESSIONS [EXECUTIONS]]
"""

from __future__ import annotations

import asyncio
import sys
import time

from tci import AsyncTCIClient

#: Notes its number; the first of a session waits until all are there.
CODE = """
import os, time
order = [*globals().get('order', ()), {n}]
while not os.path.exists('go'):
    time.sleep(0.01)
order
"""
#: Seconds for all to be accepted.
PATIENCE = 120


async def main(sessions: int, executions: int) -> None:
    """Exits with a message when something is not as it should be."""
    labels = {"job": "many"}
    began = time.monotonic()
    async with AsyncTCIClient() as client:
        made = await asyncio.gather(*(client.sessions.create(metadata=labels) for _ in range(sessions)))
        ready = time.monotonic()
        tasks = [
            asyncio.ensure_future(made[i % sessions].run(CODE.format(n=i // sessions), timeout=PATIENCE))
            for i in range(executions)
        ]
        while sum(s.execute_count for s in await client.sessions.list(metadata=labels)) < executions:
            if time.monotonic() > ready + PATIENCE or any(task.done() for task in tasks):
                sys.exit(f"many: not all were accepted: {[t for t in tasks if t.done()]}")
            await asyncio.sleep(0.05)
        accepted = time.monotonic()
        if any(task.done() for task in tasks):
            sys.exit("many: some had ended before all were there")
        await asyncio.gather(*(session.files.upload("go", b"") for session in made))
        done = await asyncio.gather(*tasks)
        ended = time.monotonic()
        await asyncio.gather(*(session.close() for session in made))
        closed = time.monotonic()
    for i, execution in enumerate(done):
        n = i // sessions
        seen = (execution.status, execution.session_id, execution.index, execution.result)
        if seen != ("ok", made[i % sessions].id, n + 1, list(range(n + 1))):
            sys.exit(f"many: execution {i} is {execution!r}, number {execution.index}")
    print(f"{executions} executions at once over {sessions} sessions on one loop, no error, in order:")
    print(f"  {ready - began:.1f} s to make the sessions, {accepted - ready:.1f} s until all were under way,")
    print(
        f"  {ended - accepted:.1f} s more until all had ended, {closed - ended:.1f} s to close the sessions"
    )


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    asyncio.run(main(*(numbers + [100, 500][len(numbers) :])))
