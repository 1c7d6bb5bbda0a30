"""Streams: what they give, and how they go on when their connection breaks."""

from __future__ import annotations

import json
import unittest
from typing import Any
from unittest import mock

import tci
from fake_daemon import EXECUTION, Answer, DaemonTest, refusal
from fake_executions import Executions, Fate, script
from tci import _retry


class StreamTest(DaemonTest):
    max_retries = 3

    def setUp(self) -> None:
        pause = mock.patch.object(_retry, "FIRST_PAUSE", 0.001)
        pause.start()
        self.addCleanup(pause.stop)

    def serve(self, *fates: Fate, events: Any = None) -> tci.TCIClient:
        self.executions = Executions(*fates, events=events)
        return self.start(self.executions)

    def whole(self, stream: tci.ExecutionStream) -> None:
        """Reads a stream, which must have every event once, in order."""
        with stream:
            seen = list(stream)
        self.assertEqual([e.seq for e in seen], [e["seq"] for e in self.executions.events])
        text = "".join(e.text for e in seen if isinstance(e, tci.StdoutEvent))
        assert stream.execution is not None
        self.assertEqual(text, stream.execution.stdout)


class Events(StreamTest):
    def test_types(self) -> None:
        client = self.serve()
        with client.executions.stream("ses_1", "code", stdin=b"\xff", timeout=2) as stream:
            self.assertEqual((stream.execution_id, stream.execution, stream.seq), ("exe_1", None, 0))
            seen = list(stream)
        self.assertEqual(stream.seq, len(self.executions.events))
        kinds = [tci.StartedEvent, *[tci.StdoutEvent] * 5, tci.StderrEvent, tci.DisplayDataEvent]
        kinds += [tci.UpdateDisplayDataEvent, tci.ClearOutputEvent, tci.ExecuteResultEvent, tci.ErrorEvent]
        kinds += [tci.TestEvent, tci.OtherEvent, tci.FinishedEvent]
        self.assertEqual([type(e) for e in seen], kinds)
        wire = [e["type"] for e in self.executions.events]
        wire[wire.index("new_kind")] = "other"
        self.assertEqual([e.type for e in seen], wire)
        self.assertEqual(seen[1], tci.StdoutEvent(2, "2026-01-31T12:00:00Z", "0 ü\n"))
        self.assertEqual(seen[-1].execution, stream.execution)
        self.assertEqual(
            self.daemon.requests[0].json(),
            {"code": "code", "stdin_base64": "/w==", "timeout": 2, "stream": True},
        )
        self.assertEqual(self.daemon.requests[0].headers["Accept"], "application/x-ndjson")
        with self.assertRaises(AttributeError):
            seen[1].text = "x"

    def test_connections_are_kept_after_a_stream(self) -> None:
        client = self.serve()
        for _ in range(3):
            self.whole(client.executions.stream("ses_1", "1"))
        self.assertEqual(self.daemon.connections, 1)

    def test_leaving_closes_the_connection(self) -> None:
        client = self.serve()
        with client.executions.stream("ses_1", "1") as stream:
            next(stream)
        self.assertEqual(client._transport._idle, [])
        self.assertEqual(stream.execution, None)
        client.executions.get("exe_1")
        self.assertEqual(self.daemon.connections, 2)

    def test_the_result_reads_what_is_left(self) -> None:
        client = self.serve()
        stream = client.executions.stream("ses_1", "1")
        next(stream)
        self.assertEqual(stream.result().id, "exe_1")
        closed = client.executions.stream("ses_1", "1")
        closed.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            closed.result()

    def test_other_ways_in(self) -> None:
        client = self.serve()
        client.stream("1", resources={"memory_mb": 64}, cwd="d").close()
        client.executions.stream("ses_1", "1", detach=True).close()
        self.assertEqual(client.start("1", ttl=5).id, "exe_3")
        self.assertEqual(client.executions.start("ses_1", "1", env={"A": "b"}).id, "exe_4")
        self.assertEqual(client.executions.wait("exe_4").id, "exe_4")
        self.assertEqual(
            [r.json() for r in self.daemon.requests[:4]],
            [
                {"code": "1", "cwd": "d", "session": {"resources": {"memory_mb": 64}}, "stream": True},
                {"code": "1", "stream": True, "detach": True},
                {"code": "1", "session": {"ttl": 5}, "detach": True},
                {"code": "1", "env": {"A": "b"}, "detach": True},
            ],
        )

    def test_wait_listens(self) -> None:
        client = self.serve(20, None)
        running = {**EXECUTION, "status": "running"}
        with mock.patch.object(self.executions, "_execution", return_value=running):
            self.assertEqual(client.executions.wait("exe_1").status, "ok")
        self.assertEqual(
            self.targets(), ["GET /v1/executions/exe_1", *["GET /v1/executions/exe_1/events?after=0"] * 2]
        )

    def test_wait_for_one_whose_events_are_gone(self) -> None:
        client = self.serve(refusal(410, "events_gone"))
        states = [{**EXECUTION, "status": "running"}, EXECUTION]
        with mock.patch.object(self.executions, "_execution", side_effect=states):
            self.assertEqual(client.executions.wait("exe_1").status, "ok")

    def test_bad_arguments(self) -> None:
        client = self.serve()
        stream: Any = client.executions.stream
        resume: Any = client.executions.resume
        for call, error, word in (
            (lambda: stream("ses_1", "1", memory=1), TypeError, "memory"),
            (lambda: stream("ses_1", 1), TypeError, "code"),
            (lambda: stream(None, "1"), TypeError, "session_id"),
            (lambda: stream("ses_1", "1", idempotency_key=""), ValueError, "idempotency_key"),
            (lambda: client.stream("1", memory=1), TypeError, "memory"),
            (lambda: resume("exe_1", -1), ValueError, "after"),
            (lambda: resume("exe_1", "1"), TypeError, "after"),
            (lambda: resume("", 1), ValueError, "execution_id"),
        ):
            with self.subTest(word), self.assertRaisesRegex(error, word):
                call()
        self.assertEqual(self.daemon.requests, [])


class Breaks(StreamTest):
    def test_a_break_at_every_byte(self) -> None:
        """Wherever the first answer ends, in a line or behind it."""
        client = self.start(lambda r: self.executions(r))
        length = sum(map(len, Executions()._stream("exe_1", 0).lines or []))
        for at in range(1, length, 5):
            self.executions = Executions(at)
            self.whole(client.executions.stream("ses_1", "1"))
            self.assertEqual(self.executions.ran, ["1"], at)

    def test_a_break_after_every_event(self) -> None:
        self.serve()
        keepalive, *lines = self.executions._stream("exe_1", 0).lines or []
        one_each = [len(keepalive) + len(line) for line in lines]
        client = self.serve(*one_each[:-1])
        self.whole(client.executions.stream("ses_1", "1"))
        self.assertEqual(
            self.targets()[1:],
            [f"GET /v1/executions/exe_1/events?after={n}" for n in range(1, len(lines))],
        )
        self.assertEqual(self.executions.ran, ["1"])

    def test_events_that_come_twice_are_given_once(self) -> None:
        events = script()
        doubled = events[:3] + events[1:4] + events[2:]
        self.executions = Executions(events=events)
        client = self.start(lambda r: Answer(lines=[json.dumps(e).encode() + b"\n" for e in doubled]))
        self.whole(client.executions.resume("exe_1"))

    def test_events_that_are_missing_are_no_stream(self) -> None:
        events = script()
        client = self.serve(events=events[:2] + events[3:])
        with self.assertRaisesRegex(tci.StreamBroken, "event 4 after event 2") as caught:
            list(client.executions.stream("ses_1", "1"))
        self.assertEqual((caught.exception.execution_id, caught.exception.seq), ("exe_1", 2))

    def test_truncated_events_are_told(self) -> None:
        client = self.serve(200)
        with client.executions.stream("ses_1", "1") as stream:
            first = next(stream)
            self.executions.kept_from = 6
            rest = list(stream)
        self.assertEqual(first.seq, 1)
        gap = next(e for e in rest if isinstance(e, tci.TruncatedEvent))
        numbers = [first.seq, *(e.seq for e in rest)]
        self.assertEqual(gap.seq, 5)
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(gap.events, gap.seq - numbers[numbers.index(gap.seq) - 1])

    def test_resuming(self) -> None:
        client = self.serve()
        with client.executions.resume("exe_1", 12) as stream:
            self.assertEqual([e.seq for e in stream], [13, 14, 15])

    def test_resuming_behind_the_end(self) -> None:
        client = self.serve()
        with client.executions.resume("exe_1", 15) as stream:
            self.assertEqual(list(stream), [])
        assert stream.execution is not None
        self.assertEqual(stream.execution.id, "exe_1")
        running = {**EXECUTION, "status": "running"}
        with mock.patch.object(self.executions, "_execution", return_value=running):
            with self.assertRaises(tci.StreamBroken):
                client.executions.resume("exe_1", 15).result()

    def test_tries_are_bounded(self) -> None:
        client = self.serve(250, *["hang up"] * 9)
        stream = client.executions.stream("ses_1", "1")
        with self.assertRaises(tci.StreamBroken) as caught:
            list(stream)
        self.assertIsInstance(caught.exception, tci.InfraError)
        self.assertIn("exe_1", str(caught.exception))
        self.assertEqual(caught.exception.seq, stream.seq)
        self.assertEqual(len(self.daemon.requests), 1 + self.max_retries)
        self.assertEqual(self.executions.ran, ["1"])

    def test_progress_gives_new_tries(self) -> None:
        client = self.serve(*[250, "hang up", "hang up"] * 6)
        self.whole(client.executions.stream("ses_1", "1"))

    def test_refusals_of_a_resumed_stream(self) -> None:
        for fate in (
            refusal(404, "execution_not_found"),
            refusal(410, "events_gone"),
            Answer(b"<html>", 502),
        ):
            with self.subTest(fate.status):
                client = self.serve(250, fate)
                with self.assertRaises(tci.StreamBroken):
                    list(client.executions.stream("ses_1", "1"))

    def test_refusals_of_the_first_request(self) -> None:
        for fate, error in (
            (refusal(404, "session_not_found"), tci.SessionNotFound),
            (refusal(404, "execution_not_found"), tci.NotFoundError),
            (refusal(410, "events_gone"), tci.EventsGone),
        ):
            with self.subTest(fate.status), self.assertRaises(error):
                self.serve(fate).executions.resume("exe_1")

    def test_lines_that_are_no_events(self) -> None:
        for line in (b"nonsense\n", b"[]\n", b"{}\n", b'{"seq": 1, "type": "finished"}\n'):
            with self.subTest(line):
                client = self.start(
                    lambda r, one=line: Answer(lines=[one], headers={"X-Execution-Id": "exe_1"})
                )
                with self.assertRaises(tci.StreamBroken):
                    list(client.executions.stream("ses_1", "1"))

    def test_an_answer_that_just_ends(self) -> None:
        """Cleanly, but without the last event."""
        lines = [json.dumps(e).encode() + b"\n" for e in script()]
        answers = [lines[:4], lines]
        client = self.start(lambda r: Answer(lines=answers.pop(0), headers={"X-Execution-Id": "exe_1"}))
        with client.executions.stream("ses_1", "1") as stream:
            self.assertEqual([e.seq for e in stream], list(range(1, len(lines) + 1)))


if __name__ == "__main__":
    unittest.main()
