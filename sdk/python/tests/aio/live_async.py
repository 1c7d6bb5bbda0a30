"""The asyncio client against a real daemon at TCI_BASE_URL, a Unix socket. It
needs httpx."""

from __future__ import annotations

import asyncio
import os
import random
import time
import unittest

import tci
from cutter import cutter
from tci import AsyncTCIClient


class Live(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.client = AsyncTCIClient()
        self.addAsyncCleanup(self.client.close)

    async def test_calls(self) -> None:
        async with await self.client.sessions.create(metadata={"job": "aio"}) as session:
            e = await session.run("import sys; sys.stdin.buffer.read()", stdin=b"\xff")
            self.assertEqual(e.result, "b'\\xff'")
            await session.files.upload("f", b"x" * 3_000_000)
            self.assertEqual(len((await session.files.download("f")).content), 3_000_000)
            found = await self.client.sessions.list(metadata={"job": "aio"})
            self.assertEqual([s.id for s in found], [session.id])
            started = await session.start("import time\ntime.sleep(0.3)\n7")
            self.assertEqual((await self.client.executions.wait(started.id)).result, 7)
        with self.assertRaises(tci.SessionNotFound):
            await session.run("1")
        self.assertEqual((await self.client.run("6 * 7", ttl=60)).result, 42)
        self.assertIn("v1", (await self.client.version())["api"])

    async def test_streams(self) -> None:
        async with await self.client.sessions.create() as session:
            async with session.stream("print('x', flush=True)\nwhile True: pass") as stream:
                async for event in stream:
                    if event.type == "stdout":
                        await session.interrupt()
            assert stream.execution is not None
            self.assertEqual((stream.execution.status, event.type), ("interrupted", "finished"))
            async with self.client.executions.resume(stream.execution_id, after=1) as again:
                self.assertEqual([e.seq async for e in again], list(range(2, stream.seq + 1)))

    async def test_a_cancelled_run_is_ended(self) -> None:
        async with await self.client.sessions.create() as session:
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(session.run("import time\ntime.sleep(60)"), 0.5)
            end = time.monotonic() + 20
            while not (await session.executions())[0].done:
                self.assertLess(time.monotonic(), end)
                await asyncio.sleep(0.1)
            self.assertEqual((await session.executions())[0].status, "cancelled")

    async def test_connections_that_break(self) -> None:
        code = "import time\nruns = globals().get('runs', 0) + 1\n"
        code += "for i in range(40):\n    print(i, flush=True)\n    time.sleep(0.01)\nruns"
        with cutter(os.environ["TCI_BASE_URL"]) as broken:
            async with AsyncTCIClient(base_url=broken.base_url) as client:
                sessions = await asyncio.gather(*(client.sessions.create() for _ in range(4)))
                done = asyncio.gather(*(s.run(code) for _ in range(3) for s in sessions))
                cuts = 0
                while not done.done():
                    await asyncio.sleep(random.uniform(0.05, 0.2))
                    cuts += broken.cut_all()
                executions = await done
                self.assertEqual([e.result for e in executions], [n for n in (1, 2, 3) for _ in sessions])
                for execution in executions:
                    self.assertEqual(execution.stdout, "".join(f"{i}\n" for i in range(40)))
                await asyncio.gather(*(s.close() for s in sessions))
        self.assertGreater(cuts, 8)


if __name__ == "__main__":
    unittest.main()
