"""The asyncio client against the fake daemon. These tests need httpx."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
import time
import unittest
from typing import Any, Awaitable, Callable
from unittest import mock

import tci
from fake_daemon import EXECUTION, SESSION, Answer, FakeDaemon, Request, refusal
from fake_executions import Executions, Fate
from tci import AsyncTCIClient, TCIClient, _retry


class AsyncTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        pause = mock.patch.object(_retry, "FIRST_PAUSE", 0.001)
        pause.start()
        self.addCleanup(pause.stop)

    def start(
        self, answer: Callable[[Request], Answer], *, unix: bool = False, retries: int = 3, **options: Any
    ) -> AsyncTCIClient:
        path = None
        if unix:
            directory = tempfile.TemporaryDirectory()
            self.addCleanup(directory.cleanup)
            path = os.path.join(directory.name, "s")
        self.daemon = FakeDaemon(answer, path)
        self.addCleanup(self.daemon.stop)
        client = AsyncTCIClient("key", self.daemon.base_url, max_retries=retries, **options)
        self.addAsyncCleanup(client.close)
        return client

    def serve(self, *fates: Fate, **options: Any) -> AsyncTCIClient:
        self.executions = Executions(*fates)
        return self.start(self.executions, **options)

    def targets(self) -> list[str]:
        return [f"{r.method} {r.target}" for r in self.daemon.requests]


def any_answer(request: Request) -> Answer:
    """Something that fits each call."""
    path = request.target.partition("?")[0]
    if path.endswith("/complete"):
        return Answer({"matches": ["a"], "start": 0, "end": 1})
    if path.endswith("/is_complete"):
        return Answer({"status": "complete", "indent": ""})
    if path == "/v1/sessions" and request.method == "GET":
        last = "after=" in request.target
        return Answer({"data": [SESSION], "next": None if last else "ses_1"})
    if path == "/v1/sessions" and request.method == "DELETE":
        return Answer({"closed": 3})
    if path == "/v1/version" or path == "/v1/images":
        return Answer({"data": []})
    if "/files/" in path and request.method == "GET":
        return Answer(b"content")
    if path.endswith("/files"):
        return Answer(
            {"data": [{"path": "f", "name": "f", "size": 1, "type": "file", "mode": "", "modified_at": ""}]}
        )
    if path.endswith("/executions") and request.method == "GET":
        return Answer({"data": [EXECUTION]})
    if path.startswith("/v1/executions/"):
        return Answer(EXECUTION)
    if path.endswith("/executions"):
        return Answer(EXECUTION, 202, {"X-Execution-Id": "exe_1"})
    return Answer(SESSION)


#: Each call of the API but those that stream.
CALLS: dict[str, Callable[[Any], Any]] = {
    "create": lambda c: c.sessions.create(ttl=5, env={"A": "b"}, files={"f": b"\xff"}, idempotency_key="k"),
    "get": lambda c: c.sessions.get("../a b/ü"),
    "list": lambda c: c.sessions.list(state="ready", metadata={"a b": "c&d"}),
    "update": lambda c: c.sessions.update("ses_1", ttl=0, idle_timeout=3, metadata={}),
    "close": lambda c: c.sessions.close("ses_1"),
    "close_all": lambda c: c.sessions.close_all({"a": "b"}),
    "interrupt": lambda c: c.sessions.interrupt("ses_1"),
    "restart": lambda c: c.sessions.restart("ses_1"),
    "complete": lambda c: c.sessions.complete("ses_1", "a", 1),
    "is_complete": lambda c: c.sessions.is_complete("ses_1", "a"),
    "start": lambda c: c.executions.start("ses_1", "1", timeout=2, stdin="x", max_output_bytes=5),
    "start_once": lambda c: c.start("1", ttl=5, cwd="d", grading="sum"),
    "execution": lambda c: c.executions.get("exe_1"),
    "executions": lambda c: c.executions.list("ses_1"),
    "cancel": lambda c: c.executions.cancel("exe_1"),
    "wait": lambda c: c.executions.wait("exe_1"),
    "upload": lambda c: c.files.upload("ses_1", "/a//../ü", "text", mode=0o755, overwrite=False),
    "upload a file": lambda c: c.files.upload("ses_1", "f", io.BytesIO(b"x" * 3_000_000)),
    "download": lambda c: c.files.download("ses_1", "50%?#&=+;"),
    "list files": lambda c: c.files.list("ses_1", "d", recursive=True),
    "delete": lambda c: c.files.delete("ses_1", "d", recursive=True),
    "version": lambda c: c.version(),
    "images": lambda c: c.images(),
}


class BothClients(AsyncTest):
    async def test_they_send_and_return_the_same(self) -> None:
        client = self.start(any_answer)
        sync = TCIClient("key", self.daemon.base_url)
        self.addCleanup(sync.close)
        for name, call in CALLS.items():
            with self.subTest(name):
                self.daemon.requests.clear()
                want = await asyncio.to_thread(call, sync)
                sent = [self.request(r) for r in self.daemon.requests]
                self.daemon.requests.clear()
                got = await call(client)
                self.assertEqual([self.request(r) for r in self.daemon.requests], sent)
                self.assertEqual(self.shown(got), self.shown(want))

    def request(self, request: Request) -> tuple[Any, ...]:
        names = ("Content-Type", "Authorization", "If-None-Match", "Accept", "Transfer-Encoding")
        headers = {name.lower(): value for name, value in request.headers.items()}
        key = headers.get("idempotency-key")
        return (
            request.method,
            request.target,
            request.body,
            key if key == "k" else key is not None,
            *(headers.get(name.lower()) for name in names),
        )

    def shown(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.shown(one) for one in value]
        return value.raw if hasattr(value, "raw") else value

    async def test_they_have_the_same_names(self) -> None:
        client = self.start(any_answer)
        sync = TCIClient("key", self.daemon.base_url)

        def names(thing: Any) -> set[str]:
            return {n for n in dir(thing) if not n.startswith("_")}

        for mine, its in (
            (client, sync),
            (client.sessions, sync.sessions),
            (client.executions, sync.executions),
            (client.files, sync.files),
            (tci.AsyncSession, tci.Session),
            (tci.AsyncExecutionStream, tci.ExecutionStream),
        ):
            self.assertEqual(names(mine), names(its))


class Code(AsyncTest):
    async def test_every_way_to_run_code_survives_all_fates(self) -> None:
        """Code that was started once is never started again."""
        ways: dict[str, Callable[[AsyncTCIClient], Awaitable[Any]]] = {
            "run": lambda c: c.executions.run("ses_1", "1"),
            "run_once": lambda c: c.run("1"),
            "start": lambda c: c.executions.start("ses_1", "1"),
            "stream": lambda c: c.executions.stream("ses_1", "1").result(),
            "stream_once": lambda c: c.stream("1").result(),
        }
        busy = refusal(429, "capacity", **{"Retry-After": "0"})
        fates: tuple[Fate, ...] = ("drop", "hang up", 30, 400, busy)
        for name, way in ways.items():
            for first in fates:
                for second in fates:
                    with self.subTest(name, first=first, second=second):
                        client = self.serve(first, second)
                        self.assertEqual((await way(client)).id, "exe_1")
                        self.assertEqual(self.executions.ran, ["1"])

    async def test_a_break_at_every_byte(self) -> None:
        client = self.start(lambda r: self.executions(r))
        length = sum(map(len, Executions()._stream("exe_1", 0).lines or []))
        for at in range(1, length, 11):
            self.executions = Executions(at)
            async with client.executions.stream("ses_1", "1") as stream:
                seen = [event async for event in stream]
            self.assertEqual([e.seq for e in seen], [e["seq"] for e in self.executions.events])
            self.assertEqual(self.executions.ran, ["1"])
            assert stream.execution is not None
            text = "".join(e.text for e in seen if isinstance(e, tci.StdoutEvent))
            self.assertEqual(text, stream.execution.stdout)

    async def test_resuming_behind_the_end(self) -> None:
        client = self.serve()
        stream = await client.executions.resume("exe_1", 15)
        self.assertEqual((await stream.result()).id, "exe_1")

    async def test_tries_are_bounded(self) -> None:
        client = self.serve(250, *["hang up"] * 9)
        with self.assertRaises(tci.StreamBroken) as caught:
            await client.executions.run("ses_1", "1")
        self.assertEqual(caught.exception.execution_id, "exe_1")
        self.assertEqual(len(self.daemon.requests), 4)

    async def test_refusals(self) -> None:
        client = self.serve(refusal(404, "session_not_found"), retries=0)
        with self.assertRaises(tci.SessionNotFound):
            await client.executions.run("ses_1", "1")
        with self.assertRaises(TypeError):
            await client.executions.run("ses_1", 1)  # type: ignore[arg-type]
        client = self.serve(refusal(410, "events_gone"))
        with self.assertRaises(tci.EventsGone):
            await client.executions.resume("exe_1")

    async def test_a_stream_can_be_left(self) -> None:
        client = self.serve()
        stream = await client.executions.stream("ses_1", "1")
        self.assertEqual(stream.execution_id, "exe_1")
        event = await stream.__anext__()
        await stream.close()
        self.assertEqual((event.seq, stream.seq, stream.execution), (1, 1, None))
        with self.assertRaisesRegex(ValueError, "closed"):
            await stream.result()

    async def test_a_cancelled_task_closes_its_connection(self) -> None:
        left = asyncio.Event()
        loop = asyncio.get_running_loop()
        executions = Executions()

        def answer(request: Request) -> Answer:
            given = executions(request)

            class Slow(list):  # type: ignore[type-arg]
                def __iter__(self) -> Any:
                    try:
                        for line in list.__iter__(self):
                            for _ in range(20):
                                # Much, so that it is sent at once.
                                yield line[:-1] + b" " * 10_000 + b"\n"
                                time.sleep(0.01)
                    finally:
                        loop.call_soon_threadsafe(left.set)

            given.lines = Slow(given.lines or [])
            return given

        client = self.start(answer)
        task = asyncio.ensure_future(client.executions.run("ses_1", "1"))
        while not self.daemon.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        began = loop.time()
        await asyncio.wait_for(left.wait(), 5)
        self.assertLess(loop.time() - began, 1)


class Order(AsyncTest):
    async def test_each_session_has_its_order(self) -> None:
        """Also when a request must be tried again while others wait."""
        busy = refusal(429, "capacity", **{"Retry-After": "0"})
        fates: list[Fate] = [None, busy, "drop", None, "hang up", busy]
        client = self.serve(*fates * 5, unix=True, retries=30)
        await asyncio.gather(*(client.executions.run(f"ses_{i % 3}", f"{i}") for i in range(60)))
        for session in range(3):
            mine = [int(code) for code in self.executions.ran if int(code) % 3 == session]
            self.assertEqual(mine, list(range(session, 60, 3)))

    async def test_at_most_so_many_at_once(self) -> None:
        now, most = 0, 0
        executions = Executions()

        def answer(request: Request) -> Answer:
            nonlocal now, most
            now += 1
            most = max(most, now)
            time.sleep(0.02)
            now -= 1
            return executions(request)

        client = self.start(answer, max_connections=4)
        await asyncio.gather(*(client.run(f"{i}") for i in range(40)))
        self.assertLessEqual(most, 4)
        self.assertLessEqual(self.daemon.connections, 4)
        self.assertGreater(most, 1)

    async def test_a_session_does_not_wait_for_others(self) -> None:
        release = asyncio.Event()
        loop = asyncio.get_running_loop()
        executions = Executions()

        def answer(request: Request) -> Answer:
            if "ses_slow" in request.target:
                asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10)
            return executions(request)

        client = self.start(answer)
        slow = asyncio.ensure_future(client.executions.run("ses_slow", "1"))
        await asyncio.wait_for(client.executions.run("ses_quick", "1"), 5)
        self.assertFalse(slow.done())
        release.set()
        await slow


class Connections(AsyncTest):
    async def test_they_are_kept(self) -> None:
        client = self.serve(unix=True)
        for _ in range(5):
            await client.executions.run("ses_1", "1")
            await client.executions.get("exe_1")
        self.assertEqual(self.daemon.connections, 1)

    async def test_no_daemon(self) -> None:
        for url in ("unix:///nonexistent/s", "http://127.0.0.1:1"):
            async with AsyncTCIClient("k", url) as client:
                with self.assertRaisesRegex(tci.ConnectionFailed, "tcid serve"):
                    await client.version()

    async def test_silence_is_bounded(self) -> None:
        client = self.start(lambda r: Answer(SESSION, delay=0.5), timeout=0.1)
        with self.assertRaisesRegex(tci.ConnectionFailed, "in time"):
            await client.sessions.get("ses_1")

    async def test_bad_arguments(self) -> None:
        for options in ({"timeout": 0}, {"max_retries": -1}, {"max_connections": 0}, {"base_url": "ftp://h"}):
            with self.subTest(options), self.assertRaises(ValueError):
                AsyncTCIClient("k", **options)  # type: ignore[arg-type]

    async def test_a_httpx_that_is_too_old(self) -> None:
        for module in ("httpx", "httpcore"):
            with mock.patch(f"{module}.__version__", "0.27.2"):
                with self.assertRaisesRegex(ImportError, rf"{module} here is 0\.27\.2"):
                    AsyncTCIClient("k", "http://h")

    async def test_the_context_managers(self) -> None:
        self.start(any_answer)
        async with AsyncTCIClient("k", self.daemon.base_url) as client:
            async with await client.sessions.create() as session:
                self.assertEqual(repr(session), "AsyncSession(id='ses_1', state='ready')")
                await session.files.upload("f", b"x")
                await session.interrupt()
                self.assertIs(await session.restart(), session)
                self.assertIs(await session.refresh(), session)
        self.assertEqual(self.targets()[-1], "DELETE /v1/sessions/ses_1")


if __name__ == "__main__":
    unittest.main()
