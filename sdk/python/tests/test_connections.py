"""Connections that are lost, slow, shared, inherited or abandoned."""

from __future__ import annotations

import http.client
import io
import os
import tempfile
import threading
import time
import unittest
from unittest import mock

import fake_daemon
import tci
from fake_daemon import EXECUTION, SESSION, Answer, DaemonTest, Request, refusal
from tci import _transport


def ok(request: Request) -> Answer:
    """Answers every call with something that fits."""
    if request.target.endswith("/executions") and request.method == "POST":
        return Answer(EXECUTION)
    if "/files/" in request.target:
        return Answer(b"content")
    return Answer(SESSION)


class KeepAlive(DaemonTest):
    def test_an_idle_connection_that_was_closed_is_replaced(self) -> None:
        client = self.start(lambda r: Answer(EXECUTION, close_after=True))
        for _ in range(3):
            client.executions.run("ses_1", "1")
            self._wait_until_closed(client)
        self.assertEqual([r.connection for r in self.daemon.requests], [0, 1, 2])

    def _wait_until_closed(self, client: tci.TCIClient) -> None:
        for connection in list(client._transport._idle):
            for _ in range(500):
                if not _transport._usable(connection):
                    return
                time.sleep(0.01)
            self.fail("the server did not close its connection")

    def test_a_read_is_sent_again_on_a_new_connection(self) -> None:
        client = self.start(lambda r: Answer(SESSION, hang_up=len(self.daemon.requests) == 2))
        client.sessions.get("ses_1")
        client.sessions.get("ses_1")
        self.assertEqual([r.connection for r in self.daemon.requests], [0, 0, 1])

    def test_a_new_connection_that_is_closed_is_not_tried_again(self) -> None:
        client = self.start(lambda r: Answer(hang_up=True))
        with self.assertRaises(tci.ConnectionFailed):
            client.sessions.get("ses_1")
        self.assertEqual(len(self.daemon.requests), 1)

    def test_a_streamed_upload_is_not_sent_again(self) -> None:
        """What was read from a file can't be read again."""
        client = self.start(lambda r: Answer(SESSION, hang_up=len(self.daemon.requests) == 2))
        client.sessions.get("ses_1")
        with self.assertRaises(tci.ConnectionFailed):
            client.files.upload("ses_1", "f", io.BytesIO(b"x"))
        self.assertEqual(len(self.daemon.requests), 2)

    def test_a_forked_child_has_connections_of_its_own(self) -> None:
        client = self.start(ok)
        client.sessions.get("ses_1")
        with mock.patch.object(os, "getpid", return_value=os.getpid() + 1):
            client.sessions.get("ses_1")
        self.assertEqual([r.connection for r in self.daemon.requests], [0, 1])

    def test_threads_get_their_own_answers(self) -> None:
        client = self.start(lambda r: Answer({**SESSION, "id": r.target.rsplit("/", 1)[1]}, delay=0.002))
        wrong: list[str] = []

        def calls(thread: int) -> None:
            for i in range(20):
                name = f"{thread}-{i}"
                if client.sessions.get(name).id != name:
                    wrong.append(name)

        threads = [threading.Thread(target=calls, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(len(self.daemon.requests), 160)
        self.assertLess(self.daemon.connections, 80)

    def test_an_interrupted_call_closes_its_connection(self) -> None:
        client = self.start(ok)
        with mock.patch.object(http.client.HTTPConnection, "getresponse", side_effect=KeyboardInterrupt):
            with mock.patch.object(
                http.client.HTTPConnection,
                "close",
                autospec=True,
                side_effect=http.client.HTTPConnection.close,
            ) as close:
                with self.assertRaises(KeyboardInterrupt):
                    client.sessions.get("ses_1")
                close.assert_called()
        self.assertEqual(client._transport._idle, [])


class Waiting(DaemonTest):
    timeout = 0.3

    def test_white_space_before_an_answer(self) -> None:
        client = self.start(lambda r: Answer({**EXECUTION, "result": 7}, beats=[0.2, 0.2, 0.2]))
        self.assertEqual(client.executions.run("ses_1", "1").result, 7)

    def test_an_execution_may_take_longer_than_the_clients_timeout(self) -> None:
        client = self.start(lambda r: Answer(EXECUTION, delay=0.7))
        self.assertTrue(client.executions.run("ses_1", "1").ok)

    def test_a_daemon_that_says_nothing_is_given_up(self) -> None:
        client = self.start(lambda r: Answer(SESSION, delay=1.0))
        with self.assertRaisesRegex(tci.ConnectionFailed, "in time"):
            client.sessions.get("ses_1")

    def test_silence_between_heartbeats_is_bounded(self) -> None:
        client = self.start(lambda r: Answer(EXECUTION, beats=[0.1, 1.0]))
        with mock.patch("tci._calls.HEARTBEAT_TIMEOUT", 0.4), self.assertRaises(tci.ConnectionFailed):
            client.executions.run("ses_1", "1")


class BrokenAnswers(DaemonTest):
    def test_an_answer_that_is_not_json(self) -> None:
        client = self.start(lambda r: Answer(b"<html>"))
        with self.assertRaises(tci.InfraError):
            client.sessions.get("ses_1")

    def test_something_that_is_not_http(self) -> None:
        client = self.start(ok)
        with mock.patch.object(
            fake_daemon._Handler, "send_response", lambda h, *_: h.wfile.write(b"SSH-2.0\r\n")
        ):
            with self.assertRaises(tci.ConnectionFailed):
                client.sessions.get("ses_1")

    def test_a_refusal_before_the_whole_file_was_sent(self) -> None:
        for unix in (False, True):
            with self.subTest(unix=unix):
                client = self.start(lambda r: refusal(404, "session_not_found"), unix=unix)
                self.daemon.refuse_unread = True
                with self.assertRaises(tci.SessionNotFound):
                    client.files.upload("ses_1", "f", _Endless())
                self.assertEqual(client._transport._idle, [])


class _Endless(io.RawIOBase):
    """A file that ends only when nobody stops the upload."""

    left = 1 << 30

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= 1 << 20, "uploads must be read in pieces"
        size = min(size, self.left)
        self.left -= size
        time.sleep(0.0005)  # so that the refusal arrives while this goes on
        return b"x" * size


class Sending(DaemonTest):
    def test_a_base_url_with_a_path(self) -> None:
        self.start(ok)
        with tci.TCIClient("k", self.daemon.base_url + "/prefix/") as client:
            client.sessions.get("ses_1")
        self.assertEqual(self.targets(), ["GET /prefix/v1/sessions/ses_1"])

    def test_what_uploads_send(self) -> None:
        client = self.start(ok)
        large = os.urandom(1 << 20) + b"end"
        with tempfile.TemporaryFile() as file:
            file.write(large)
            file.seek(0)
            for content in (
                "tö",
                b"\x00\xff",
                bytearray(b"a"),
                memoryview(b"b"),
                b"",
                io.BytesIO(large),
                file,
            ):
                self.assertIs(client.files.upload("ses_1", "f", content), True)
        sent = [r.body for r in self.daemon.requests]
        self.assertEqual(sent, ["tö".encode(), b"\x00\xff", b"a", b"b", b"", large, large])
        self.assertEqual(self.daemon.requests[-1].headers["Transfer-Encoding"], "chunked")

    def test_options_of_uploads(self) -> None:
        client = self.start(ok)
        client.files.upload("ses_1", "f", b"", mode=0o755, overwrite=False)
        self.assertEqual(self.targets(), ["PUT /v1/sessions/ses_1/files/f?mode=0755"])
        self.assertEqual(self.daemon.requests[0].headers["If-None-Match"], "*")

    def test_encoding_of_paths(self) -> None:
        cases = {
            "data.csv": "data.csv",
            "a/b/c.txt": "a/b/c.txt",
            "a//b": "a/b",
            "dir/": "dir/",
            "/rooted": "%2Frooted",
            "//rooted": "%2Frooted",
            "/workspace/a b": "%2Fworkspace/a%20b",
            "50%?#&=+;": "50%25%3F%23%26%3D%2B%3B",
            "ü": "%C3%BC",
            "../x": "%2E%2E/x",
            "a/./..": "a/%2E/%2E%2E",
            "a%2Fb": "a%252Fb",
            "..hidden": "..hidden",
            "/": "%2F",
        }
        client = self.start(ok)
        for path, encoded in cases.items():
            with self.subTest(path):
                file = client.files.download("ses_1", path)
                self.assertEqual(file.name, path)
                self.assertEqual(self.targets()[-1], f"GET /v1/sessions/ses_1/files/{encoded}")

    def test_encoding_of_ids(self) -> None:
        client = self.start(ok)
        client.sessions.get("../a b/ü")
        self.assertEqual(self.targets(), ["GET /v1/sessions/..%2Fa%20b%2F%C3%BC"])


class Finding(unittest.TestCase):
    def test_the_default_address(self) -> None:
        system, user = "/run/tcid/tcid.sock", "/run/user/7/tcid/tcid.sock"
        for env, existing, want in (
            ({"TCI_BASE_URL": "http://h:1"}, {system}, "http://h:1"),
            ({"XDG_RUNTIME_DIR": "/run/user/7"}, {system, user}, "unix://" + system),
            ({"XDG_RUNTIME_DIR": "/run/user/7"}, {user}, "unix://" + user),
            ({}, {user}, "http://127.0.0.1:8787"),
        ):
            with self.subTest(want), mock.patch.dict(os.environ, env, clear=True):
                with mock.patch.object(os.path, "exists", existing.__contains__):
                    self.assertEqual(tci.TCIClient().base_url, want)

    def test_the_key_comes_from_the_environment(self) -> None:
        with mock.patch.dict(os.environ, {"TCI_API_KEY": "from env"}):
            self.assertEqual(tci.TCIClient(base_url="http://h")._transport._api_key, "from env")
            self.assertEqual(tci.TCIClient("own", "http://h")._transport._api_key, "own")

    def test_bad_addresses(self) -> None:
        for url in ("unix://", "ftp://h", "/run/tcid/tcid.sock", "http://"):
            with self.subTest(url), self.assertRaisesRegex(ValueError, "base_url"):
                tci.TCIClient("k", url)
        for timeout in (0, -1, float("nan")):
            with self.subTest(timeout), self.assertRaisesRegex(ValueError, "timeout"):
                tci.TCIClient("k", "http://h", timeout=timeout)


if __name__ == "__main__":
    unittest.main()
