"""HTTP over a Unix socket or TCP, with nothing but the standard library."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import threading
import urllib.parse
from typing import Any, Mapping, Optional, Union

from .errors import ConnectionFailed, InfraError, TCIError, error_for

#: Seconds to connect, and to wait for short answers.
DEFAULT_TIMEOUT = 30.0
#: The daemon sends a sign of life every 10 seconds while code runs.
HEARTBEAT_TIMEOUT = 60.0
_POOL_SIZE = 16
_SYSTEM_SOCKET = "/run/tcid/tcid.sock"
_FALLBACK = "http://127.0.0.1:8787"

Body = Union[bytes, io.BufferedIOBase, io.RawIOBase]


def default_base_url() -> str:
    """Where the daemon is when nobody says so: the system's socket, the
    user's, or TCP on loopback."""
    if url := os.environ.get("TCI_BASE_URL"):
        return url
    candidates = [_SYSTEM_SOCKET]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.append(os.path.join(runtime, "tcid", "tcid.sock"))
    for path in candidates:
        if os.path.exists(path):
            return "unix://" + path
    return _FALLBACK


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        self.sock = sock


class Transport:
    """Sends requests. It may be used from several threads; each request has a
    connection to itself, taken from a small pool."""

    def __init__(self, base_url: str, api_key: Optional[str], timeout: float) -> None:
        self.base_url = base_url
        self._api_key = api_key
        self._timeout = timeout
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._unix: Optional[str] = None
        parts = urllib.parse.urlsplit(base_url)
        if parts.scheme == "unix":
            self._unix = parts.path
            self._prefix = ""
            if not self._unix:
                raise ValueError(f"base_url {base_url!r} names no socket; write unix:///path/to/tcid.sock")
        elif parts.scheme in ("http", "https") and parts.hostname:
            self._host, self._port, self._tls = parts.hostname, parts.port, parts.scheme == "https"
            self._prefix = parts.path.rstrip("/")
        else:
            raise ValueError(f"base_url {base_url!r} must begin with http://, https:// or unix://")

    def close(self) -> None:
        """Closes idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def json(
        self,
        method: str,
        path: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        query: Optional[Mapping[str, str]] = None,
        wait: Optional[float] = None,
    ) -> Any:
        """Sends and receives JSON. ``wait`` is how long to wait for each piece
        of the answer, in seconds, when that may take longer than usual."""
        headers = {}
        data: Optional[bytes] = None
        if body is not None:
            data = _encode(body)
            headers["Content-Type"] = "application/json"
        answer, _ = self.request(method, path, data, headers=headers, query=query, wait=wait)
        if not answer.strip():
            return None
        try:
            return json.loads(answer)
        except ValueError:
            raise InfraError("the daemon's answer was cut off or is not JSON") from None

    def request(
        self,
        method: str,
        path: str,
        body: Optional[Body] = None,
        *,
        headers: Optional[Mapping[str, str]] = None,
        query: Optional[Mapping[str, str]] = None,
        wait: Optional[float] = None,
    ) -> tuple[bytes, http.client.HTTPMessage]:
        """Sends a request and returns the answer's body and headers.

        Raises:
            TCIError: the subclass that fits the daemon's refusal.
            ConnectionFailed: there is no daemon, or the connection broke.
        """
        target = self._prefix + path
        if query:
            target += "?" + urllib.parse.urlencode(query)
        all_headers = {"Accept": "*/*", **(headers or {})}
        if self._api_key:
            all_headers["Authorization"] = "Bearer " + self._api_key
        if body is not None and not isinstance(body, bytes):
            all_headers.setdefault("Transfer-Encoding", "chunked")
        elif body is None and method in ("POST", "PUT", "PATCH"):
            all_headers["Content-Length"] = "0"
        response, connection = self._exchange(method, target, body, all_headers, wait)
        try:
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ConnectionFailed(f"the connection to the daemon broke in its answer: {error}") from error
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._put(connection)
        if 200 <= response.status < 300:
            return answer, response.headers
        raise _refusal(response, answer)

    def _exchange(
        self,
        method: str,
        target: str,
        body: Optional[Body],
        headers: Mapping[str, str],
        wait: Optional[float],
    ) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
        """Sends a request and waits for the answer's head. A connection that
        was idle may have been closed by the daemon: then a new one is used,
        unless the request could have been processed and may not be twice."""
        while True:
            connection, reused = self._take()
            sent = False
            try:
                if connection.sock is None:
                    connection.connect()
                assert connection.sock is not None
                connection.sock.settimeout(self._timeout)
                connection.request(
                    method, target, body, dict(headers), encode_chunked="Transfer-Encoding" in headers
                )
                sent = True
                connection.sock.settimeout(max(self._timeout, wait or 0.0))
                return connection.getresponse(), connection
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                early = None if sent else self._early_answer(connection)
                if early is not None:
                    return early, connection
                connection.close()
                replayable = body is None or isinstance(body, bytes)
                # Closed without a byte of answer: an idle connection that the
                # daemon gave up. Code that was sent may still have run.
                if reused and replayable and (not sent or method in ("GET", "HEAD", "PUT", "DELETE")):
                    continue
                raise ConnectionFailed(f"the connection to the daemon broke: {error}") from error
            except (TimeoutError, socket.timeout) as error:
                connection.close()
                raise ConnectionFailed(f"the daemon at {self.base_url} did not answer in time") from error
            except OSError as error:
                connection.close()
                raise ConnectionFailed(self._unreachable(error)) from error
            except http.client.HTTPException as error:
                connection.close()
                raise ConnectionFailed(f"the daemon's answer is not HTTP: {error!r}") from error
            except BaseException:
                # Ctrl-C keeps the connection alive in its traceback, and the
                # daemon would go on with what nobody waits for.
                connection.close()
                raise

    def _early_answer(self, connection: http.client.HTTPConnection) -> Optional[http.client.HTTPResponse]:
        """The answer of a daemon that refused a request before it had all of
        it, such as a file for a session that has ended."""
        if connection.sock is None:
            return None
        try:
            connection.sock.settimeout(self._timeout)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException):
            return None
        response.will_close = True  # the rest of the request was not sent
        return response

    def _unreachable(self, error: OSError) -> str:
        if isinstance(error, PermissionError):
            return f"you may not use the daemon at {self.base_url}: be root or a member of its group (tcid)"
        return f"there is no daemon at {self.base_url} ({error}); start one with: tcid serve"

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._owner != os.getpid():
                # After a fork the connections are the parent's: two processes
                # would read each other's answers.
                self._owner, inherited, self._idle = os.getpid(), self._idle, []
                for connection in inherited:
                    connection.close()
            while self._idle:
                connection = self._idle.pop()
                if _usable(connection):
                    return connection, True
                connection.close()
        if self._unix is not None:
            return _UnixConnection(self._unix, self._timeout), False
        if self._tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout), False
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout), False

    def _put(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < _POOL_SIZE:
                self._idle.append(connection)
                return
        connection.close()


def _encode(body: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8. What JSON can't carry is refused here: the daemon would
    read a lone surrogate as another character."""
    try:
        return json.dumps(body, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"text with a lone surrogate can't be sent: {error.object[error.start]!r}") from None


def _usable(connection: http.client.HTTPConnection) -> bool:
    """False when the daemon has closed an idle connection: it is readable then."""
    sock = connection.sock
    if sock is None:
        return False
    try:
        sock.setblocking(False)
        sock.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return True
    except (OSError, ValueError):  # ValueError: TLS can't be peeked at
        return False
    return False  # an end of file, or bytes that nobody asked for


def _refusal(response: http.client.HTTPResponse, answer: bytes) -> TCIError:
    message = f"the daemon answered with HTTP status {response.status}"
    code = param = None
    request_id = response.headers.get("X-Request-Id")
    try:
        error = json.loads(answer)["error"]
        message, code, param = error["message"], error.get("code"), error.get("param")
    except (ValueError, KeyError, TypeError):
        pass
    try:
        retry_after: Optional[float] = float(response.headers.get("Retry-After", ""))
    except ValueError:
        retry_after = None
    return error_for(response.status, message, code, param, request_id, retry_after)


def segment(text: str) -> str:
    """Encodes one segment of a path."""
    encoded = urllib.parse.quote(text, safe="")
    # quote leaves dots, and servers resolve these two.
    return encoded.replace(".", "%2E") if encoded in (".", "..") else encoded
