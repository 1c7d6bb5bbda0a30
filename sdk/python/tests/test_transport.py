"""How the SDK behaves on the wire, against small servers of the tests' own."""

from __future__ import annotations

import json
import os
import socket
import ssl
import tempfile
import threading
import unittest
from contextlib import contextmanager
from typing import Any, Callable, Iterator
from unittest import mock

import tci
from tci import TCIClient
from tci._address import Address, default_base_url

Handler = Callable[[socket.socket, int], None]


@contextmanager
def server(handle: Handler, path: str = "") -> Iterator[str]:
    """Calls handle with each connection and its number; yields the base URL."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(path or ("127.0.0.1", 0))
    listener.listen(16)
    done = threading.Event()

    def serve() -> None:
        count = 0
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if done.is_set():
                connection.close()
                return
            count += 1
            threading.Thread(target=one, args=(connection, count), daemon=True).start()

    def one(connection: socket.socket, count: int) -> None:
        with connection:
            try:
                handle(connection, count)
            except OSError:
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield "unix://" + path if path else "http://127.0.0.1:%d" % listener.getsockname()[1]
    finally:
        done.set()
        with socket.socket(listener.family) as knock:
            knock.connect(listener.getsockname())
        thread.join()
        listener.close()


def read_request(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """Reads one request: its first line, its headers, its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("closed")
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    if headers.get("transfer-encoding") == "chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
    else:
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
    return lines[0], headers, body


def answer(connection: socket.socket, body: object, status: int = 200, headers: str = "") -> None:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    connection.sendall((head + headers + "\r\n").encode() + data)


def version(url: str, timeout: float = 5.0) -> object:
    with TCIClient(base_url=url, timeout=timeout, max_retries=0) as client:
        return client.version()


class Requests(unittest.TestCase):
    def test_paths_are_encoded(self) -> None:
        seen = []

        def handle(connection: socket.socket, _: int) -> None:
            while True:
                seen.append(read_request(connection)[0])
                answer(connection, {})

        with server(handle) as url:
            client = TCIClient(base_url=url)
            for path in ["a b/ü", "/abs", "..", "x/../y", "q?#%"]:
                client.files.upload("ses/x", path, b"")
            client.close()
        prefix = "PUT /v1/sessions/ses%2Fx/files/"
        self.assertEqual(
            seen,
            [
                f"{prefix}{p} HTTP/1.1"
                for p in ["a%20b/%C3%BC", "%2Fabs", "%2E%2E", "x/%2E%2E/y", "q%3F%23%25"]
            ],
        )

    def test_key_and_body(self) -> None:
        seen = []

        def handle(connection: socket.socket, _: int) -> None:
            seen.append(read_request(connection))
            answer(connection, {"closed": 2})

        with server(handle) as url:
            client = TCIClient("secret", url)
            self.assertEqual(client.sessions.close_all({"a": "b c"}), 2)
            client.close()
        line, headers, _ = seen[0]
        self.assertEqual(line, "DELETE /v1/sessions?metadata.a=b+c HTTP/1.1")
        self.assertEqual(headers["authorization"], "Bearer secret")

    def test_unix_socket_and_streamed_upload(self) -> None:
        seen = []

        def handle(connection: socket.socket, _: int) -> None:
            seen.append(read_request(connection))
            answer(connection, {})

        with tempfile.TemporaryDirectory() as dir, server(handle, os.path.join(dir, "s")) as url:
            with open(os.path.join(dir, "f"), "w+b") as f:
                f.write(b"x" * 100_000)
                f.seek(0)
                client = TCIClient(base_url=url)
                client.files.upload("s", "f", f)
                client.close()
        self.assertEqual(seen[0][1]["transfer-encoding"], "chunked")
        self.assertGreater(len(seen[0][2]), 100_000)

    def test_connections_are_kept(self) -> None:
        connections = []

        def handle(connection: socket.socket, count: int) -> None:
            connections.append(count)
            while True:
                read_request(connection)
                answer(connection, {"version": "x"})

        with server(handle) as url:
            client = TCIClient(base_url=url)
            for _ in range(5):
                client.version()
            client.close()
        self.assertEqual(connections, [1])

    def test_white_space_before_the_answer(self) -> None:
        def handle(connection: socket.socket, _: int) -> None:
            read_request(connection)
            body = b"   " + json.dumps({"version": "x"}).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        with server(handle) as url:
            self.assertEqual(version(url), {"version": "x"})


class BrokenConnections(unittest.TestCase):
    def test_an_idle_connection_that_was_closed(self) -> None:
        def handle(connection: socket.socket, count: int) -> None:
            read_request(connection)
            answer(connection, {"version": count})  # and closes without saying so

        with server(handle) as url:
            client = TCIClient(base_url=url)
            self.assertEqual([client.version()["version"] for _ in range(3)], [1, 2, 3])
            client.close()

    def test_code_is_never_sent_twice(self) -> None:
        sent = []

        def handle(connection: socket.socket, count: int) -> None:
            if count == 1:
                read_request(connection)
                answer(connection, {"version": "x"})
            sent.append(read_request(connection)[0])  # and closes without an answer

        with server(handle) as url:
            client = TCIClient(base_url=url, max_retries=0)
            client.version()
            with self.assertRaises(tci.ConnectionFailed):
                client.executions.run("s", "launch()")
            client.close()
        self.assertEqual(sent, ["POST /v1/sessions/s/executions HTTP/1.1"])

    def test_a_daemon_without_tls(self) -> None:
        def handle(connection: socket.socket, _: int) -> None:
            connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        with server(handle) as url, self.assertRaisesRegex(tci.ConnectionFailed, "no TLS .*http://"):
            version(url.replace("http://", "https://"))

    def test_a_certificate_that_is_not_trusted(self) -> None:
        error = ssl.SSLCertVerificationError(1, "self-signed certificate")
        failed = Address("https://127.0.0.1:8787").unreachable(error)
        self.assertRegex(str(failed), "self-signed certificate.*SSL_CERT_FILE")

    def test_a_cut_answer(self) -> None:
        def handle(connection: socket.socket, _: int) -> None:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

        with server(handle) as url, self.assertRaises(tci.ConnectionFailed):
            version(url)

    def test_an_answer_cut_off_at_every_byte(self) -> None:
        body = b'{"version": "x"}'
        for head in (
            b"Content-Length: 16\r\n\r\n%s",
            b"Transfer-Encoding: chunked\r\n\r\n10\r\n%s\r\n0\r\n\r\n",
        ):
            whole = b"HTTP/1.1 200 OK\r\nX-Request-Id: r\r\n" + head % body
            sent: list[int] = []

            def handle(connection: socket.socket, count: int, whole: bytes = whole, sent: Any = sent) -> None:
                # Each connection gets one byte more than the one before.
                sent.append(count)
                read_request(connection)
                connection.sendall(whole[:count])

            with server(handle) as url, mock.patch("tci._retry.FIRST_PAUSE", 0):
                client = TCIClient(base_url=url, max_retries=200)
                self.assertEqual(client.version(), {"version": "x"})
                client.close()
            # The last line ends of a body in chunks are not missed.
            self.assertIn(len(sent), range(len(whole) - 4, len(whole) + 1))

    def test_no_daemon(self) -> None:
        for url in ["unix:///nonexistent/tcid.sock", "http://127.0.0.1:1"]:
            with self.assertRaises(ConnectionError) as raised:
                version(url)
            self.assertIn("tcid serve", str(raised.exception))

    def test_a_slow_daemon(self) -> None:
        def handle(connection: socket.socket, _: int) -> None:
            read_request(connection)
            connection.recv(1)  # until the client gives up

        with server(handle) as url, self.assertRaises(tci.ConnectionFailed):
            version(url, 0.2)


class Errors(unittest.TestCase):
    def test_kinds(self) -> None:
        cases = [
            (404, "session_not_found", tci.SessionNotFound, ValueError),
            (404, "file_not_found", tci.RemoteFileNotFound, FileNotFoundError),
            (404, "execution_not_found", tci.NotFoundError, tci.TCIError),
            (400, "invalid_value", tci.InvalidRequestError, ValueError),
            (413, "body_too_large", tci.InvalidRequestError, ValueError),
            (507, "no_space", tci.InvalidRequestError, ValueError),
            (401, "invalid_api_key", tci.AuthenticationError, tci.TCIError),
            (421, "host_not_allowed", tci.AuthenticationError, tci.TCIError),
            (412, "file_exists", tci.ConflictError, tci.TCIError),
            (429, "capacity", tci.CapacityError, tci.TCIError),
            (503, "shutting_down", tci.CapacityError, tci.TCIError),
            (500, "internal", tci.InfraError, tci.TCIError),
        ]

        def handle(connection: socket.socket, count: int) -> None:
            read_request(connection)
            status, code = cases[count - 1][:2]
            error = {"message": "because", "type": "t", "param": "p", "code": code, "request_id": "r"}
            answer(
                connection,
                {"error": error},
                status,
                "Retry-After: 7\r\nX-Request-Id: r\r\nConnection: close\r\n",
            )

        with server(handle) as url:
            client = TCIClient(base_url=url, max_retries=0)
            for status, code, kind, base in cases:
                with self.assertRaises(base) as raised:
                    client.version()
                error = raised.exception
                self.assertIs(type(error), kind)
                self.assertEqual(
                    (error.status, error.code, error.param, error.request_id), (status, code, "p", "r")
                )
                self.assertEqual(str(error), "because")
                if kind is tci.CapacityError:
                    self.assertEqual(error.retry_after, 7)

    def test_an_answer_from_something_else(self) -> None:
        def handle(connection: socket.socket, _: int) -> None:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\n<p/>")

        with server(handle) as url, self.assertRaises(tci.InfraError) as raised:
            version(url)
        self.assertEqual(raised.exception.status, 502)


class Arguments(unittest.TestCase):
    def test_refused_before_sending(self) -> None:
        client = TCIClient(base_url="unix:///nonexistent")
        for call, kind in [
            (lambda: client.executions.run("s", 5), TypeError),
            (lambda: client.executions.run("", "1"), ValueError),
            (lambda: client.executions.run("s", "1", timeout="5"), TypeError),
            (lambda: client.executions.run("s", "1", timeout=float("nan")), ValueError),
            (lambda: client.executions.run("s", "1", tests={"condition": "x"}), TypeError),
            (lambda: client.executions.run("s", "1", env={"a": 1}), TypeError),
            (lambda: client.executions.run("s", "1", files={"a": 1}), TypeError),
            (lambda: client.sessions.create(languag="python"), TypeError),
            (lambda: client.sessions.close_all({}), ValueError),
            (lambda: client.files.upload("s", "x", 5), TypeError),
            (lambda: client.files.upload("s", "", b""), ValueError),
            (lambda: TCIClient(base_url="ftp://x"), ValueError),
            (lambda: TCIClient(base_url="unix://"), ValueError),
        ]:
            with self.assertRaises(kind):
                call()

    def test_where_the_daemon_is(self) -> None:
        with mock.patch.dict(os.environ, {"TCI_BASE_URL": "http://there"}):
            self.assertEqual(default_base_url(), "http://there")
        with tempfile.TemporaryDirectory() as dir:
            os.mkdir(os.path.join(dir, "tcid"))
            path = os.path.join(dir, "tcid", "tcid.sock")
            open(path, "w").close()
            env = {"TCI_BASE_URL": "", "XDG_RUNTIME_DIR": dir}
            with (
                mock.patch.dict(os.environ, env),
                mock.patch("tci._address._SYSTEM_SOCKET", "/nonexistent"),
            ):
                self.assertEqual(default_base_url(), "unix://" + path)
                os.remove(path)
                self.assertEqual(default_base_url(), "http://127.0.0.1:8787")


if __name__ == "__main__":
    unittest.main()
