"""HTTP over a Unix socket or TCP, with nothing but the standard library."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from typing import Callable, Mapping, Optional, TypeVar

from ._address import Address
from ._calls import Call
from ._retry import Retries
from .errors import ConnectionFailed, TCIError, error_for

_POOL_SIZE = 16
#: The most bytes of an answer that are read at once.
_PIECE = 1 << 16
#: Seconds for the rest of an answer whose content is all there.
_REST_TIMEOUT = 1.0

T = TypeVar("T")


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


class Answer:
    """An answer whose head has arrived, and the connection that it comes by."""

    def __init__(
        self,
        response: http.client.HTTPResponse,
        connection: http.client.HTTPConnection,
        sock: socket.socket,
        transport: Transport,
    ) -> None:
        self._response = response
        self._connection = connection
        self._transport = transport
        # A connection that ends with its answer has let go of its socket.
        self._sock = sock

    @property
    def headers(self) -> http.client.HTTPMessage:
        """The headers; their names are found in any case."""
        return self._response.headers

    def read(self) -> bytes:
        """The whole body; then the connection is another request's."""
        whole = self._guard(self._response.read)
        self._give_back()
        return whole

    def read1(self) -> bytes:
        """What has come of the body; empty: all of it has."""
        return self._guard(lambda: self._response.read1(_PIECE))

    def bound(self, seconds: float) -> None:
        """Bounds the time between two bytes."""
        self._sock.settimeout(seconds)

    def finish(self) -> None:
        """Gives the connection back when nothing more comes."""
        self.bound(_REST_TIMEOUT)
        try:
            rest = self._response.read1(_PIECE)
        except (OSError, http.client.HTTPException):
            rest = b"?"
        if rest:
            self.close()
        else:
            self._give_back()

    def close(self) -> None:
        """Closes the connection."""
        self._response.close()
        self._connection.close()

    def _give_back(self) -> None:
        if self._response.will_close:
            self.close()
        else:
            self._transport._put(self._connection)

    def _guard(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionFailed(
                f"the connection to the daemon broke in its answer: {error}",
                may_retry=not isinstance(error, (TimeoutError, socket.timeout)),
                execution_id=self.headers.get("X-Execution-Id"),
            ) from error
        except BaseException:
            self.close()
            raise


class Transport:
    """Sends requests. It may be used from several threads; each request has a
    connection to itself, taken from a small pool."""

    def __init__(self, base_url: str, api_key: Optional[str], timeout: float, max_retries: int) -> None:
        self.base_url = base_url
        self.max_retries = max_retries
        self._api_key = api_key
        self._timeout = timeout
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._address = Address(base_url)

    def close(self) -> None:
        """Closes idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def send(self, call: Call[T]) -> T:
        """Sends a request, again where that is safe, and reads the answer.

        Raises:
            TCIError: the subclass that fits the daemon's refusal.
            ConnectionFailed: there is no daemon, or the connection broke.
        """
        retries = Retries(self.max_retries, again=call.again, keyed=call.key is not None)
        while True:
            try:
                return call.read(self.open(call).read())
            except ConnectionFailed as error:
                if error.execution_id is not None:
                    raise  # to listen on is better than to ask again
                pause = retries.pause(error)
                if pause is None:
                    raise
            except TCIError as error:
                pause = retries.pause(error)
                if pause is None:
                    raise
            time.sleep(pause)

    def open(self, call: Call[T]) -> Answer:
        """Sends a request once, and returns when the head of an answer has come
        that is no refusal. Raises as :meth:`send`."""
        headers = call.all_headers(self._api_key)
        if call.body is not None and not isinstance(call.body, bytes):
            headers.setdefault("Transfer-Encoding", "chunked")
        elif call.body is None and call.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = "0"
        target = self._address.prefix + call.target
        answer = self._exchange(call, target, headers)
        self._address.reached = True
        status = answer._response.status
        if 200 <= status < 300:
            return answer
        raise error_for(status, answer.headers, answer.read())

    def _exchange(self, call: Call[T], target: str, headers: Mapping[str, str]) -> Answer:
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
                    call.method,
                    target,
                    call.body,
                    dict(headers),
                    encode_chunked="Transfer-Encoding" in headers,
                )
                sent = True
                sock = connection.sock
                sock.settimeout(max(self._timeout, call.wait))
                return Answer(_whole(connection.getresponse()), connection, sock, self)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                early = None if sent else self._early_answer(connection)
                if early is not None:
                    return early
                connection.close()
                replayable = call.body is None or isinstance(call.body, bytes)
                # Closed without a byte of answer: an idle connection that the
                # daemon gave up.
                if reused and replayable and (not sent or (call.again and call.key is None)):
                    continue
                raise ConnectionFailed(f"the connection to the daemon broke: {error}", sent=sent) from error
            except (TimeoutError, socket.timeout) as error:
                connection.close()
                raise ConnectionFailed(
                    f"the daemon at {self.base_url} did not answer in time", sent=sent, may_retry=False
                ) from error
            except OSError as error:
                connection.close()
                raise self._address.unreachable(error, sent) from error
            except http.client.HTTPException as error:
                connection.close()
                # So is one of which only the first bytes have come.
                raise ConnectionFailed(f"the daemon's answer is not HTTP: {error!r}") from error
            except BaseException:
                # Ctrl-C keeps the connection alive in its traceback, and the
                # daemon would go on with what nobody waits for.
                connection.close()
                raise

    def _early_answer(self, connection: http.client.HTTPConnection) -> Optional[Answer]:
        """The answer of a daemon that refused a request before it had all of
        it, such as a file for a session that has ended."""
        sock = connection.sock
        if sock is None:
            return None
        try:
            sock.settimeout(self._timeout)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException):
            return None
        response.will_close = True  # the rest of the request was not sent
        return Answer(response, connection, sock, self)

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
        address = self._address
        if address.unix is not None:
            return _UnixConnection(address.unix, self._timeout), False
        if address.tls:
            return http.client.HTTPSConnection(address.host, address.port, timeout=self._timeout), False
        return http.client.HTTPConnection(address.host, address.port, timeout=self._timeout), False

    def _put(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < _POOL_SIZE:
                self._idle.append(connection)
                return
        connection.close()


def _whole(response: http.client.HTTPResponse) -> http.client.HTTPResponse:
    """Refuses an answer whose head was cut off, which http.client takes for one
    that has fewer headers. The daemon's tell how their body ends."""
    if response.length is None and not response.chunked:
        response.close()
        raise http.client.RemoteDisconnected("the answer was cut off in its head")
    return response


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
