"""HTTP over a Unix socket or TCP, by httpx's connection pool."""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
from typing import TYPE_CHECKING, AsyncIterator, Optional, TypeVar

from .._address import Address
from .._calls import Body, Call
from .._retry import Retries
from ..errors import ConnectionFailed, TCIError, error_for

if TYPE_CHECKING:
    import httpx

#: Idle connections that are kept, and for how many seconds.
_KEEP = 100
_KEEP_SECONDS = 30.0
#: Bytes of a file that are read at once.
_PIECE = 1 << 20

T = TypeVar("T")


class AsyncAnswer:
    """An answer whose head has arrived."""

    def __init__(self, response: httpx.Response, line: httpx.AsyncHTTPTransport, lines: _Lines) -> None:
        import httpx

        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._line: Optional[httpx.AsyncHTTPTransport] = line
        self._lines = lines
        self._pieces = self._stream.__aiter__()
        self.status = response.status_code
        self.headers = response.headers

    async def read(self) -> bytes:
        """The whole body; then the connection is another request's."""
        pieces = []
        while piece := await self.read1():
            pieces.append(piece)
        await self.close()
        return b"".join(pieces)

    async def read1(self) -> bytes:
        """What has come of the body; empty: all of it has."""
        import httpx

        try:
            while not (piece := await self._pieces.__anext__()):
                pass
            return piece
        except StopAsyncIteration:
            return b""
        except httpx.TransportError as error:
            await self.close()
            raise ConnectionFailed(
                f"the connection to the daemon broke in its answer: {error}",
                may_retry=not isinstance(error, httpx.TimeoutException),
                execution_id=self.headers.get("X-Execution-Id"),
            ) from error

    async def finish(self) -> None:
        """Gives the connection back when nothing more comes."""
        try:
            await self.read1()
        except ConnectionFailed:
            pass
        await self.close()

    async def close(self) -> None:
        """Ends the answer; unless all of it was read, with its connection."""
        line, self._line = self._line, None
        if line is not None:
            try:
                await self._stream.aclose()
            finally:
                await self._lines.put(line)


class _Lines:
    """Connections to the daemon, each of which is a pool of httpx with one place:
    what a pool of httpx does for a request takes time in proportion to its size,
    and with hundreds most of the time."""

    def __init__(self, address: Address) -> None:
        import httpx

        # Made once: it reads the certificates that are trusted.
        tls = httpx.create_ssl_context() if address.tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEP_SECONDS)
        self._new = functools.partial(httpx.AsyncHTTPTransport, verify=tls, uds=address.unix, limits=limits)
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._all: set[httpx.AsyncHTTPTransport] = set()

    def take(self) -> httpx.AsyncHTTPTransport:
        """One that nobody else uses; the last one that was put back is the
        likeliest to be connected still."""
        if self._idle:
            return self._idle.pop()
        line = self._new()
        self._all.add(line)
        return line

    async def put(self, line: httpx.AsyncHTTPTransport) -> None:
        """Gives one back that nothing more is read from."""
        if len(self._idle) < _KEEP:
            self._idle.append(line)
            return
        self._all.discard(line)
        await line.aclose()

    async def close(self) -> None:
        """Closes all connections."""
        lines, self._all, self._idle = self._all, set(), []
        for line in lines:
            await line.aclose()


class AsyncTransport:
    """Sends requests, all from one event loop."""

    def __init__(self, base_url: str, api_key: Optional[str], timeout: float, max_retries: int) -> None:
        _check_httpx()
        self.base_url = base_url
        self.max_retries = max_retries
        self._api_key = api_key
        self._timeout = timeout
        self._address = Address(base_url)
        scheme = "https" if self._address.tls else "http"
        port = f":{self._address.port}" if self._address.port is not None else ""
        host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host
        self._url = f"{scheme}://{host}{port}/"
        self._lines = _Lines(self._address)

    async def close(self) -> None:
        """Closes all connections."""
        await self._lines.close()

    async def send(self, call: Call[T]) -> T:
        """Sends a request, again where that is safe, and reads the answer.

        Raises:
            TCIError: the subclass that fits the daemon's refusal.
            ConnectionFailed: there is no daemon, or the connection broke.
        """
        retries = Retries(self.max_retries, again=call.again, keyed=call.key is not None)
        while True:
            try:
                return call.read(await (await self.open(call)).read())
            except TCIError as error:
                pause = retries.pause(error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def open(self, call: Call[T]) -> AsyncAnswer:
        """Sends a request once, and returns when the head of an answer has come
        that is no refusal. Raises as :meth:`send`."""
        answer = await self._exchange(call)
        self._address.reached = True
        if 200 <= answer.status < 300:
            return answer
        raise error_for(answer.status, answer.headers, await answer.read())

    async def _exchange(self, call: Call[T]) -> AsyncAnswer:
        import httpx

        headers = {"Accept-Encoding": "identity", **call.all_headers(self._api_key)}
        read = max(self._timeout, call.wait)
        timeouts = {"connect": self._timeout, "read": read, "write": self._timeout}
        request = httpx.Request(
            call.method,
            self._url,
            headers=headers,
            content=None if call.body is None else _content(call.body),
            # httpx has opinions of its own about what a path may look like.
            extensions={
                "timeout": timeouts,
                "target": (self._address.prefix + call.target).encode("ascii"),
            },
        )
        line = self._lines.take()
        try:
            return AsyncAnswer(await line.handle_async_request(request), line, self._lines)
        except BaseException as error:
            await self._lines.put(line)
            if isinstance(error, httpx.TransportError):
                raise self._broken(error) from error
            raise

    def _broken(self, error: httpx.TransportError) -> ConnectionFailed:
        import httpx

        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return self._address.unreachable(_cause(error))
        if isinstance(error, httpx.TimeoutException):
            return ConnectionFailed(f"the daemon at {self.base_url} did not answer in time", may_retry=False)
        return ConnectionFailed(f"the connection to the daemon broke: {error}")


def _check_httpx() -> None:
    """Raises ImportError unless there is a httpx that does as it is told: older
    ones would send every request to another path."""
    wanted = "AsyncTCIClient needs these packages: pip install 'httpx>=0.28' 'httpcore>=1.0.4'"
    try:
        import httpcore
        import httpx
    except ImportError:
        raise ImportError(wanted) from None
    for module, least in ((httpx, (0, 28, 0)), (httpcore, (1, 0, 4))):
        found = tuple(int(n) for n in re.findall(r"\d+", module.__version__)[:3])
        if found < least:
            raise ImportError(f"{wanted}; {module.__name__} here is {module.__version__}")


def _content(body: Body) -> bytes | AsyncIterator[bytes]:
    return body if isinstance(body, bytes) else _pieces(body)


async def _pieces(file: Body) -> AsyncIterator[bytes]:
    """The content of a file, read without holding up the event loop."""
    assert not isinstance(file, bytes)
    loop = asyncio.get_running_loop()
    while piece := await loop.run_in_executor(None, file.read, _PIECE):
        yield piece


def _cause(error: BaseException) -> BaseException:
    """The operating system's error behind one of httpx."""
    found: Optional[BaseException] = error
    while found is not None:
        if isinstance(found, OSError):
            return found
        found = found.__cause__ or found.__context__
    return error
