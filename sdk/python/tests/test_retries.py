"""What is sent again, how often, and what never is."""

from __future__ import annotations

import os
import tempfile
import time
import unittest
from typing import Any, Callable
from unittest import mock

import tci
from fake_daemon import EXECUTION, SESSION, Answer, DaemonTest, FakeDaemon, Request, refusal
from fake_executions import Executions, Fate
from tci import _retry


def busy(status: int = 429, code: str = "capacity", **headers: str) -> Answer:
    return refusal(status, code, **{"Retry-After": "0", **headers})


class RetryTest(DaemonTest):
    max_retries = 3

    def setUp(self) -> None:
        pause = mock.patch.object(_retry, "FIRST_PAUSE", 0.001)
        pause.start()
        self.addCleanup(pause.stop)

    def serve(self, *fates: Fate) -> tci.TCIClient:
        self.executions = Executions(*fates)
        return self.start(self.executions)

    def keys(self) -> set[str]:
        return {r.headers["Idempotency-Key"] for r in self.daemon.requests if r.method == "POST"}


class Code(RetryTest):
    def test_every_way_to_run_code_survives_all_fates(self) -> None:
        """Code that was started once is never started again."""
        ways: dict[str, Callable[[tci.TCIClient], Any]] = {
            "run": lambda c: c.executions.run("ses_1", "1"),
            "run_once": lambda c: c.run("1"),
            "start": lambda c: c.executions.start("ses_1", "1"),
            "stream": lambda c: c.executions.stream("ses_1", "1").result(),
            "stream_once": lambda c: c.stream("1").result(),
        }
        fates: tuple[Fate, ...] = ("drop", "hang up", 30, 400, busy(), busy(503, "shutting_down"))
        for name, way in ways.items():
            for first in fates:
                for second in fates:
                    with self.subTest(name, first=first, second=second):
                        client = self.serve(first, second)
                        self.assertEqual(way(client).id, "exe_1")
                        self.assertEqual(self.executions.ran, ["1"])
                        self.assertEqual(len(self.keys()), 1)

    def test_keys_are_new_for_each_call(self) -> None:
        client = self.serve()
        for _ in range(3):
            client.executions.run("ses_1", "1")
        self.assertEqual(len(self.keys()), 3)
        self.assertEqual(len(self.executions.ran), 3)

    def test_a_key_of_the_callers(self) -> None:
        client = self.serve()
        for _ in range(2):
            client.executions.start("ses_1", "1", idempotency_key="mine")
        client.executions.run("ses_1", "2", idempotency_key="other")
        self.assertEqual((self.keys(), self.executions.ran), ({"mine", "other"}, ["1", "2"]))
        with self.assertRaises(tci.ConflictError) as caught:
            client.executions.start("ses_1", "3", idempotency_key="mine")
        self.assertEqual(caught.exception.code, "idempotency_key_reused")
        self.assertNotIn(b"mine", b"".join(r.body for r in self.daemon.requests))

    def test_a_run_whose_answer_was_cut_is_listened_to(self) -> None:
        client = self.serve(400)
        self.assertTrue(client.executions.run("ses_1", "1").ok)
        self.assertEqual(self.targets(), ["POST /v1/sessions/ses_1/executions", "GET /v1/executions/exe_1"])

    def test_a_daemon_that_went_away_is_not_asked_to_run_code_again(self) -> None:
        """The next one has forgotten the key."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = os.path.join(directory.name, "s")

        def answer(request: Request) -> Answer:
            if request.method == "POST":
                os.remove(path)  # as a daemon that ends does
                return Answer(hang_up=True)
            return Answer({"version": "x"})

        daemon = FakeDaemon(answer, path)
        self.addCleanup(daemon.stop)
        client = tci.TCIClient("k", daemon.base_url, max_retries=5)
        self.addCleanup(client.close)
        client.version()
        with mock.patch.object(_retry, "FIRST_PAUSE", 0.05), self.assertRaises(tci.ConnectionFailed):
            client.run("1")
        self.assertEqual(sum(r.method == "POST" for r in daemon.requests), 1)


class Others(RetryTest):
    def answers(self, *given: Answer, last: Any = SESSION) -> tci.TCIClient:
        left = list(given)
        return self.start(lambda r: left.pop(0) if left else Answer(last))

    def test_what_may_be_sent_again(self) -> None:
        for name, call in (
            ("get", lambda c: c.sessions.get("ses_1")),
            ("create", lambda c: c.sessions.create()),
            ("update", lambda c: c.sessions.update("ses_1", ttl=1)),
            ("restart", lambda c: c.sessions.restart("ses_1")),
            ("close", lambda c: c.sessions.close("ses_1")),
            ("upload", lambda c: c.files.upload("ses_1", "f", b"x")),
            ("download", lambda c: c.files.download("ses_1", "f")),
        ):
            with self.subTest(name):
                client = self.answers(Answer(hang_up=True), busy(), Answer(SESSION, cut=True))
                call(client)
                self.assertEqual(len(self.daemon.requests), 4)
                keyed = name in ("create", "restart")
                for request in self.daemon.requests:
                    self.assertEqual("Idempotency-Key" in request.headers, keyed)
                if keyed:
                    self.assertEqual(len(self.keys()), 1)

    def test_what_may_not_be_sent_again_once_it_was_carried_out(self) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(b"x")
            for name, call in (
                ("interrupt", lambda c: c.sessions.interrupt("ses_1")),
                ("close_all", lambda c: c.sessions.close_all({"a": "b"})),
                ("delete", lambda c: c.files.delete("ses_1", "f")),
                ("no overwriting", lambda c: c.files.upload("ses_1", "f", b"", overwrite=False)),
                ("a file", lambda c: c.files.upload("ses_1", "f", file)),
            ):
                with self.subTest(name):
                    client = self.answers(Answer(hang_up=True))
                    with self.assertRaises(tci.ConnectionFailed):
                        call(client)
                    self.assertEqual(len(self.daemon.requests), 1)

    def test_refusals_say_that_nothing_was_done(self) -> None:
        client = self.answers(busy(), last=SESSION)
        client.sessions.interrupt("ses_1")
        self.assertEqual(len(self.daemon.requests), 2)

    def test_what_is_final(self) -> None:
        for answer in (
            refusal(400, "invalid_value"),
            refusal(500, "internal", **{"Retry-After": "0"}),
            refusal(429, "capacity"),  # without a time
            busy(**{"X-Should-Retry": "false"}),
            busy(503, "shutting_down", **{"X-Should-Retry": "False"}),
            busy(code="too_many_failures"),
        ):
            with self.subTest(answer):
                client = self.answers(answer)
                with self.assertRaises(tci.TCIError) as caught:
                    client.sessions.create()
                self.assertEqual(len(self.daemon.requests), 1)
                self.assertFalse(caught.exception.may_retry)

    def test_retry_after_is_waited_for(self) -> None:
        client = self.answers(refusal(429, "capacity", **{"Retry-After": "1"}))
        began = time.monotonic()
        client.sessions.create()
        self.assertGreaterEqual(time.monotonic() - began, 1.0)

    def test_the_time_is_bounded(self) -> None:
        client = self.answers(refusal(429, "capacity", **{"Retry-After": "61"}))
        began = time.monotonic()
        with self.assertRaises(tci.CapacityError) as caught:
            client.sessions.create()
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(caught.exception.retry_after, 61)

    def test_the_number_is_bounded(self) -> None:
        client = self.start(lambda r: busy())
        with self.assertRaises(tci.CapacityError):
            client.sessions.create()
        self.assertEqual(len(self.daemon.requests), 1 + self.max_retries)

    def test_none_at_all(self) -> None:
        self.start(lambda r: busy())
        with tci.TCIClient("k", self.daemon.base_url, max_retries=0) as client:
            with self.assertRaises(tci.CapacityError):
                client.sessions.create()
        self.assertEqual(len(self.daemon.requests), 1)
        for wrong in (-1, 1.5, True):
            with self.assertRaisesRegex((TypeError, ValueError), "max_retries"):
                tci.TCIClient("k", "http://h", max_retries=wrong)  # type: ignore[arg-type]

    def test_a_daemon_that_comes_back_is_waited_for(self) -> None:
        client = self.answers()
        client.sessions.get("ses_1")
        client.close()
        refused = [ConnectionRefusedError(111, "x")] * 2
        connect = tci._transport.http.client.HTTPConnection.connect

        def sometimes(connection: Any) -> None:
            if refused:
                raise refused.pop()
            connect(connection)

        with mock.patch("http.client.HTTPConnection.connect", sometimes):
            client.sessions.get("ses_1")

    def test_a_daemon_that_never_was_is_told_at_once(self) -> None:
        client = tci.TCIClient("k", "unix:///nonexistent/s", max_retries=9)
        with mock.patch("time.sleep", side_effect=AssertionError), self.assertRaises(tci.ConnectionFailed):
            client.version()

    def test_pauses_grow(self) -> None:
        pauses: list[float] = []
        client = self.start(lambda r: busy())
        with mock.patch("time.sleep", pauses.append), mock.patch.object(_retry, "FIRST_PAUSE", 0.1):
            with self.assertRaises(tci.CapacityError):
                client.sessions.create()
        pauses = [p for p in pauses if p]  # the fake daemon has naps of no length
        for pause, middle in zip(pauses, (0.1, 0.2, 0.4)):
            self.assertAlmostEqual(pause, middle, delta=middle * 0.26)
        self.assertEqual(len(pauses), 3)


class Replays(unittest.TestCase):
    def test_they_are_told(self) -> None:
        self.assertTrue(tci.Execution.from_wire({**EXECUTION, "idempotent_replay": True}).idempotent_replay)


if __name__ == "__main__":
    unittest.main()
