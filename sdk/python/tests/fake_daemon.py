"""A server for the tests of the transport: it answers as each test tells it."""

from __future__ import annotations

import json
import os
import socketserver
import sys
import tempfile
import threading
import time
import traceback
import unittest
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Callable, Optional

from tci import TCIClient


@dataclass
class Request:
    """What arrived. ``connection`` counts the connections from 0."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What to answer. ``beats`` are seconds after each of which a space is sent
    before the body; ``lines`` are a body in chunks, cut off after ``cut_after``
    bytes of it; ``hang_up`` closes the connection in its place, and
    ``close_after`` closes it afterwards without saying so before."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    beats: list[float] = field(default_factory=list)
    delay: float = 0.0
    cut: bool = False
    hang_up: bool = False
    lines: Optional[list[bytes]] = None
    cut_after: Optional[int] = None
    close_after: bool = False


def refusal(status: int, code: str, **headers: str) -> Answer:
    """An error as the daemon tells it."""
    error = {"message": "m", "type": "t", "param": "p", "code": code, "request_id": "r"}
    return Answer({"error": error}, status, {"X-Request-Id": "req_1", **headers})


SESSION: dict[str, Any] = {
    "id": "ses_1",
    "object": "session",
    "language": "python",
    "state": "ready",
    "created_at": "2026-01-31T12:00:00Z",
    "expires_at": None,
    "last_execute_at": None,
    "execute_count": 0,
    "metadata": {},
    "resources": {"memory_mb": 1024},
    "network": {"mode": "none"},
    "isolation": {"start": "fresh"},
    "image": "default",
    "image_digest": "00",
    "idle_timeout": 3600,
    "kernel_restarts": 0,
    "sandbox": "sbx_1",
}

EXECUTION: dict[str, Any] = {
    "id": "exe_1",
    "object": "execution",
    "session_id": "ses_1",
    "index": 1,
    "status": "ok",
    "queued_at": "2026-01-31T12:00:00Z",
    "started_at": "2026-01-31T12:00:00Z",
    "finished_at": "2026-01-31T12:00:00Z",
    "idempotent_replay": False,
    "receipt": {"wall_ms": 1.5},
    "stdout": "",
    "stderr": "",
    "truncated": {"stdout_bytes": 0, "stderr_bytes": 0},
    "outputs": [],
    "result": None,
    "result_repr": None,
    "result_source": "none",
    "error": None,
    "state_lost": False,
    "tests": [],
    "reward": None,
    "points": 0,
    "max_points": 0,
    "passed": 0,
    "total": 0,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece, or each answer waits for an ACK
    server: Any

    def setup(self) -> None:
        super().setup()
        self.number = self.server.daemon.connected()

    def address_string(self) -> str:  # a Unix socket's peer has no address
        return "peer"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def serve(self) -> None:
        daemon: FakeDaemon = self.server.daemon
        request = Request(self.command, self.path, dict(self.headers), b"", self.number)
        if not daemon.refuse_unread:
            request.body = self._body()
        answer = daemon.take(request)
        self.close_connection = answer.close_after or answer.hang_up or daemon.refuse_unread
        if answer.hang_up:
            return
        time.sleep(answer.delay)
        if answer.lines is not None:
            self._stream(answer)
            return
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + len(answer.beats)))
        self.end_headers()
        for beat in answer.beats:
            self.wfile.flush()
            time.sleep(beat)
            self.wfile.write(b" ")
        self.wfile.write(body[: len(body) // 2] if answer.cut else body)
        self.close_connection = self.close_connection or answer.cut

    def _stream(self, answer: Answer) -> None:
        assert answer.lines is not None
        left = answer.cut_after
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for line in answer.lines:
            piece = line if left is None else line[:left]
            self.wfile.write(b"%x\r\n" % len(line) + piece)
            if left is not None:
                left -= len(piece)
                if left == 0:
                    self.close_connection = True
                    return
            self.wfile.write(b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        whole = b""
        while True:
            size = int(self.rfile.readline(), 16)
            whole += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return whole


class _Quiet:
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, address: Any) -> None:
        """Clients of these tests leave on purpose."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()


class _TCP(_Quiet, socketserver.ThreadingTCPServer):
    pass


class _Unix(_Quiet, socketserver.ThreadingUnixStreamServer):
    pass


class FakeDaemon:
    """Answers requests by a function, one thread per connection."""

    def __init__(self, answer: Callable[[Request], Answer], unix: Optional[str] = None) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.connections = 0
        self.requests: list[Request] = []
        self.refuse_unread = False
        self._server: Any
        if unix:
            self._server = _Unix(unix, _Handler)
        else:
            self._server = _TCP(("127.0.0.1", 0), _Handler)
        self._server.daemon = self
        address = self._server.server_address
        self.base_url = "unix://" + unix if unix else f"http://127.0.0.1:{address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def connected(self) -> int:
        with self._lock:
            self.connections += 1
            return self.connections - 1

    def take(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
        return self._answer(request)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class DaemonTest(unittest.TestCase):
    """A test with a fake daemon and a client of it, which :meth:`start` makes."""

    #: The client's timeout in seconds, short so that tests of it are.
    timeout = 10.0
    #: How often it tries again; most tests are about a single try.
    max_retries = 0

    def start(self, answer: Callable[[Request], Answer], *, unix: bool = False) -> TCIClient:
        path = None
        if unix:
            directory = tempfile.TemporaryDirectory()
            self.addCleanup(directory.cleanup)
            path = os.path.join(directory.name, "s")
        self.daemon = FakeDaemon(answer, path)
        self.addCleanup(self.daemon.stop)
        client = TCIClient("key", self.daemon.base_url, timeout=self.timeout, max_retries=self.max_retries)
        self.addCleanup(client.close)
        return client

    def targets(self) -> list[str]:
        return [f"{r.method} {r.target}" for r in self.daemon.requests]
