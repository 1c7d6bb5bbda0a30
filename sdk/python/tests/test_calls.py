"""What calls send, what they return, and what they refuse to send."""

from __future__ import annotations

import base64
import io
import os
import sys
import unittest
from typing import Any, Callable, Mapping, Optional
from unittest import mock

import tci
from fake_daemon import EXECUTION, SESSION, Answer, DaemonTest, Request, refusal
from tci.models import TEXT_LIMIT


class Errors(DaemonTest):
    def test_when_to_try_again(self) -> None:
        client = self.start(lambda r: refusal(429, "capacity", **{"Retry-After": "7"}))
        with self.assertRaises(tci.CapacityError) as caught:
            client.sessions.create()
        self.assertEqual(caught.exception.retry_after, 7.0)

    def test_errors_of_somebody_else(self) -> None:
        """A proxy's error page is no JSON."""
        for body in (b"<html>", b"[]", b'{"error": "x"}', b""):
            with self.subTest(body):
                client = self.start(lambda r, b=body: Answer(b, 502))  # type: ignore[misc]
                with self.assertRaisesRegex(tci.InfraError, "502"):
                    client.sessions.create()


class Sessions(DaemonTest):
    def test_create(self) -> None:
        client = self.start(lambda r: Answer(SESSION, 201))
        session = client.sessions.create(
            ttl=5,
            env={"A": "b"},
            metadata={"job": "1"},
            resources={"memory_mb": 64},
            files={"f": "x", "g": b"\xff"},
        )
        self.assertEqual((session.id, session.language, session.state), ("ses_1", "python", "ready"))
        for name, value in SESSION.items():
            if name != "object":
                self.assertEqual(getattr(session, name), value)
        self.assertEqual(
            self.daemon.requests[0].json(),
            {
                "language": "python",
                "ttl": 5,
                "env": {"A": "b"},
                "metadata": {"job": "1"},
                "resources": {"memory_mb": 64},
                "files": [
                    {"name": "f", "encoding": "string", "content": "x"},
                    {"name": "g", "encoding": "base64", "content": "/w=="},
                ],
            },
        )

    def test_close_is_idempotent(self) -> None:
        client = self.start(lambda r: refusal(404, "session_not_found"))
        self.assertIs(client.sessions.close("ses_1"), True)

    def test_close_tells_other_failures(self) -> None:
        client = self.start(lambda r: refusal(500, "internal"))
        with self.assertRaises(tci.InfraError):
            client.sessions.close("ses_1")

    def test_the_context_manager_closes(self) -> None:
        client = self.start(lambda r: Answer(EXECUTION if r.target.endswith("/executions") else SESSION))
        with self.assertRaises(KeyError), client.sessions.create() as session:
            session.run("1")
            raise KeyError
        self.assertEqual(
            self.targets(),
            ["POST /v1/sessions", "POST /v1/sessions/ses_1/executions", "DELETE /v1/sessions/ses_1"],
        )

    def test_list_reads_all_pages(self) -> None:
        def answer(r: Request) -> Answer:
            last = "after=ses_1" in r.target
            return Answer(
                {"data": [{**SESSION, "id": "ses_2" if last else "ses_1"}], "next": None if last else "ses_1"}
            )

        client = self.start(answer)
        listed = client.sessions.list(state="ready", metadata={"a b": "c&d"})
        self.assertEqual([s.id for s in listed], ["ses_1", "ses_2"])
        self.assertEqual(self.targets()[0], "GET /v1/sessions?metadata.a+b=c%26d&state=ready")

    def test_other_calls(self) -> None:
        client = self.start(lambda r: Answer({"closed": 3} if r.method == "DELETE" else SESSION))
        client.sessions.update("ses_1", ttl=0, metadata={})
        client.sessions.interrupt("ses_1")
        client.sessions.restart("ses_1")
        self.assertEqual(client.sessions.close_all({"job": "1"}), 3)
        self.assertEqual(
            self.targets(),
            [
                "PATCH /v1/sessions/ses_1",
                "POST /v1/sessions/ses_1/interrupt",
                "POST /v1/sessions/ses_1/restart",
                "DELETE /v1/sessions?metadata.job=1",
            ],
        )
        self.assertEqual(self.daemon.requests[0].json(), {"ttl": 0, "metadata": {}})
        self.assertEqual(self.daemon.requests[1].body, b"")


class Executions(DaemonTest):
    def test_run_sends_what_was_given(self) -> None:
        client = self.start(lambda r: Answer(EXECUTION))
        tests = [{"name": "n", "condition": "True", "reward": 0.5}]
        client.executions.run(
            "ses_1",
            "code ü",
            tests,
            timeout=5,
            stdin=b"in\n",
            env={"A": "b"},
            cwd="d",
            files={"f": "x"},
            grading="sum",
            max_output_bytes=10,
        )
        client.executions.run("ses_1", "")
        self.assertEqual(
            [r.json() for r in self.daemon.requests],
            [
                {
                    "code": "code ü",
                    "tests": tests,
                    "timeout": 5,
                    "stdin_base64": "aW4K",
                    "env": {"A": "b"},
                    "cwd": "d",
                    "files": [{"name": "f", "encoding": "string", "content": "x"}],
                    "grading": {"mode": "sum"},
                    "max_output_bytes": 10,
                },
                {"code": ""},
            ],
        )

    def test_one_shot(self) -> None:
        client = self.start(lambda r: Answer(EXECUTION))
        client.run("1", timeout=2, resources={"memory_mb": 64})
        client.run("1")
        self.assertEqual(self.targets(), ["POST /v1/executions"] * 2)
        self.assertEqual(
            [r.json() for r in self.daemon.requests],
            [{"code": "1", "timeout": 2, "session": {"resources": {"memory_mb": 64}}}, {"code": "1"}],
        )

    def test_other_calls(self) -> None:
        client = self.start(lambda r: Answer({"data": [EXECUTION]} if r.target.endswith("s") else EXECUTION))
        client.executions.get("exe_1")
        client.executions.cancel("exe_1")
        self.assertEqual([e.id for e in client.executions.list("ses_1")], ["exe_1"])
        self.assertEqual(
            self.targets(),
            [
                "GET /v1/executions/exe_1",
                "POST /v1/executions/exe_1/cancel",
                "GET /v1/sessions/ses_1/executions",
            ],
        )

    def test_user_code_that_fails_raises_nothing(self) -> None:
        failure = {"name": "E", "value": "v", "traceback": ["line 1", "E: v"]}
        client = self.start(lambda r: Answer({**EXECUTION, "status": "error", "error": failure}))
        e = client.executions.run("ses_1", "1/0")
        self.assertFalse(e.ok)
        assert e.error is not None
        self.assertEqual((e.error.name, e.error.value), ("E", "v"))
        with self.assertRaisesRegex(tci.ExecutionError, "line 1\nE: v"):
            e.raise_for_error()

    def test_completion(self) -> None:
        answers = {"complete": {"matches": ["import"], "start": 0, "end": 4}}
        answers["is_complete"] = {"status": "incomplete", "indent": "    ", "new": 1}  # type: ignore[dict-item]
        client = self.start(lambda r: Answer(answers[r.target.rsplit("/", 1)[1]]))
        self.assertEqual(client.sessions.complete("ses_1", "impo", 4), tci.Completions(["import"], 0, 4))
        self.assertEqual(client.sessions.is_complete("ses_1", "if x:").status, "incomplete")
        self.assertEqual(
            [r.json() for r in self.daemon.requests], [{"code": "impo", "cursor": 4}, {"code": "if x:"}]
        )

    def test_one_program_by_itself(self) -> None:
        self.start(lambda r: Answer(EXECUTION))
        with mock.patch.dict(os.environ, {"TCI_BASE_URL": self.daemon.base_url}):
            with mock.patch("tci._once._client", None):
                self.assertEqual(tci.run("1", ttl=5).id, "exe_1")
                tci.run("2")
                tci._once._default().close()
        self.assertEqual(self.daemon.connections, 1)
        self.assertEqual(self.daemon.requests[0].json(), {"code": "1", "session": {"ttl": 5}})

    def test_asyncio_without_httpx(self) -> None:
        with mock.patch.dict(sys.modules, {"httpx": None}):
            with self.assertRaisesRegex(ImportError, r"pip install 'httpx>=0.28'"):
                tci.AsyncTCIClient()


class NothingIsSent(DaemonTest):
    def test_bad_arguments(self) -> None:
        client = self.start(lambda r: Answer(EXECUTION))
        run: Callable[..., Any] = client.executions.run
        upload: Callable[..., Any] = client.files.upload
        create: Callable[..., Any] = client.sessions.create
        for call, error, word in (
            (lambda: run("ses_1", 1), TypeError, "code"),
            (lambda: run(None, "1"), TypeError, "session_id"),
            (lambda: run("", "1"), ValueError, "session_id"),
            (lambda: run("ses_1", "1", "True"), TypeError, "tests"),
            (lambda: run("ses_1", "1", {"condition": "True"}), TypeError, "tests"),
            (lambda: run("ses_1", "1", ["True"]), TypeError, "test"),
            (lambda: run("ses_1", "1", [{"condition": "True", "reward": float("nan")}]), ValueError, "JSON"),
            (lambda: run("ses_1", "1", timeout="5"), TypeError, "timeout"),
            (lambda: run("ses_1", "1", timeout=float("inf")), ValueError, "timeout"),
            (lambda: run("ses_1", "1", timeout=True), TypeError, "timeout"),
            (lambda: run("ses_1", "1", stdin=5), TypeError, "stdin"),
            (lambda: run("ses_1", "1", env={"A": 1}), TypeError, "env"),
            (lambda: run("ses_1", "1", cwd=1), TypeError, "cwd"),
            (lambda: run("ses_1", "1", files={"f": 1}), TypeError, "f"),
            (lambda: run("ses_1", "1", files="f"), TypeError, "files"),
            (lambda: run("ses_1", "1", max_output_bytes=1.5), TypeError, "max_output_bytes"),
            (lambda: run("ses_1", "'\ud800'"), ValueError, "surrogate"),
            (lambda: upload("ses_1", "", b""), ValueError, "remote_path"),
            (lambda: upload("ses_1", b"f", b""), TypeError, "remote_path"),
            (lambda: upload("ses_1", "f", 1), TypeError, "content"),
            (lambda: upload("ses_1", "f", io.StringIO("ü")), TypeError, "opened for bytes"),
            (lambda: create(ttl="5"), TypeError, "ttl"),
            (lambda: create(metadata=["a"]), TypeError, "metadata"),
            (lambda: create(memory=5), TypeError, "memory"),
            (lambda: create(resources=5), TypeError, "resources"),
            (lambda: create(language=""), ValueError, "language"),
            (lambda: client.sessions.close_all({}), ValueError, "metadata"),
        ):
            with self.subTest(word), self.assertRaisesRegex(error, word):
                call()
        self.assertEqual(self.daemon.requests, [])


def execution(**fields: Any) -> tci.Execution:
    wire: Mapping[str, Any] = {**EXECUTION, **fields}
    return tci.Execution.from_wire(wire)


class Values(unittest.TestCase):
    def test_result(self) -> None:
        for wire, text, want in (
            (4, "4", 4),
            (0, "0", 0),
            (False, "False", False),
            ("", "''", ""),
            ([], "[]", []),
            (None, "(1, 2)", "(1, 2)"),
            (None, "None", None),
            (None, None, None),
        ):
            with self.subTest(text=text):
                self.assertEqual(execution(result=wire, result_repr=text).result, want)

    def test_text_is_in_order_and_bounded(self) -> None:
        outputs = [
            {"type": "stdout", "data": "out\n"},
            {"type": "stderr", "data": "err"},
            {"type": "display_data", "data": {"image/png": "", "text/html": "<b>"}},
            {"type": "execute_result", "data": {"text/plain": "4"}},
        ]
        self.assertEqual(execution(outputs=outputs).text, "out\nerr\n[image/png, text/html]\n4\n")
        long = execution(outputs=[{"type": "stdout", "data": "a" * 50_000 + "b" * 50_000}]).text
        self.assertLess(len(long), TEXT_LIMIT + 100)
        self.assertTrue(long.startswith("a" * 1000) and long.endswith("b" * 1000 + "\n"))
        self.assertIn("left out", long)

    def test_images(self) -> None:
        def shown(kind: str, data: Optional[bytes]) -> dict[str, Any]:
            value = base64.b64encode(data).decode() if data is not None else None
            return {"type": "display_data", "data": {kind: value, "text/plain": "x"}}

        e = execution(
            outputs=[shown("image/png", b"one"), shown("image/svg+xml", b"no"), shown("image/jpeg", b"two")]
        )
        self.assertEqual(e.images, [b"one", b"two"])

    def test_newer_daemons_may_send_more(self) -> None:
        test = {"name": "n", "passed": True, "reward": 1, "index": 2, "new": 1}
        e = execution(new=1, tests=[test], receipt={"wall_ms": 1, "new": 1}, error={**FAILURE, "new": 1})
        self.assertEqual((e.tests[0].name, e.tests[0].index, e.receipt.wall_ms, e.raw["new"]), ("n", 2, 1, 1))

    def test_files(self) -> None:
        info = {"path": "d/f", "name": "f", "size": 3, "type": "file", "mode": "0644", "modified_at": "t"}
        e = execution(files=[{**info, "change": "created", "new": 1}], files_truncated=True)
        self.assertEqual(e.files, [tci.FileChange("created", **info)])
        self.assertTrue(e.files_truncated)
        self.assertEqual(execution().files, [])

    def test_done(self) -> None:
        for status, done in (("queued", False), ("running", False), ("ok", True), ("infra_error", True)):
            self.assertIs(execution(status=status).done, done)

    def test_repr_is_short(self) -> None:
        self.assertEqual(repr(execution()), "Execution(id='exe_1', status='ok')")
        e = execution(result=list(range(10**5)), stdout="x" * 10**6, error={**FAILURE, "value": "v" * 10**6})
        self.assertLess(len(repr(e)), 250)

    def test_raise_for_error_returns_what_is_fine(self) -> None:
        e = execution()
        self.assertIs(e.raise_for_error(), e)
        with self.assertRaisesRegex(tci.ExecutionError, "timeout"):
            execution(status="timeout").raise_for_error()

    def test_file(self) -> None:
        self.assertEqual(tci.File("n", "ü".encode()).text, "ü")


FAILURE = {"name": "E", "value": "v", "traceback": []}


if __name__ == "__main__":
    unittest.main()
