"""The client for asyncio."""

from __future__ import annotations

import os
from typing import Any, Optional, Sequence

from .. import _calls
from .._address import DEFAULT_TIMEOUT, default_base_url
from .._retry import DEFAULT_MAX_RETRIES
from .._specs import TestInput, split
from .._wire import count, number
from ..models import Execution
from .executions import AsyncExecutions
from .files import AsyncFiles
from .sessions import AsyncSessions
from .streams import AsyncExecutionStream
from .transport import AsyncTransport

#: Executions under way at once. The daemon lets a caller have 512 streams open,
#: and an address 128 connections over TCP.
UNIX_CONNECTIONS = 500
TCP_CONNECTIONS = 100


class AsyncTCIClient:
    """As :class:`TCIClient`, for asyncio: the same names, arguments and errors.
    It needs httpx, and is for one event loop.

    >>> async with AsyncTCIClient() as tci:
    ...     async with await tci.sessions.create() as session:
    ...         (await session.run("1 + 1")).result
    2

    Args:
        api_key, base_url, timeout, max_retries: as of :class:`TCIClient`.
        max_connections: how many calls of ``run`` are under way at once; further
            ones wait for their turn. Default: 500 on a Unix socket, 100 over TCP.
            Streams count for themselves: the daemon allows 512 in all.

    Raises:
        ImportError: httpx is missing.
    """

    def __init__(
        self,
        api_key: Optional[str] = None,
        base_url: Optional[str] = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        max_connections: Optional[int] = None,
    ) -> None:
        if number("timeout", timeout) == 0:
            raise ValueError("timeout must be above 0")
        if api_key is None:
            api_key = os.environ.get("TCI_API_KEY")
        url = base_url or default_base_url()
        if max_connections is None:
            max_connections = UNIX_CONNECTIONS if url.startswith("unix:") else TCP_CONNECTIONS
        if count("max_connections", max_connections) == 0:
            raise ValueError("max_connections must be above 0")
        retries = count("max_retries", max_retries)
        self._transport = AsyncTransport(url, api_key, timeout, retries)
        self.executions = AsyncExecutions(self._transport, max_connections)
        self.files = AsyncFiles(self._transport)
        self.sessions = AsyncSessions(self._transport, self.executions, self.files)

    @property
    def base_url(self) -> str:
        """Where the daemon is."""
        return self._transport.base_url

    async def run(self, code: str, tests: Optional[Sequence[TestInput]] = None, **options: Any) -> Execution:
        """Runs code in a session of its own; see :meth:`TCIClient.run`."""
        mine, session = split(options)
        return await self.executions.run_once(code, tests, session=session, **mine)

    def stream(
        self,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        detach: bool = False,
        **options: Any,
    ) -> AsyncExecutionStream:
        """Runs code in a session of its own and gives its events as they come; see
        :meth:`TCIClient.stream`."""
        mine, session = split(options)
        return self.executions.stream_once(code, tests, session=session, detach=detach, **mine)

    async def start(
        self, code: str, tests: Optional[Sequence[TestInput]] = None, **options: Any
    ) -> Execution:
        """Starts code in a session of its own and does not wait for it; see
        :meth:`TCIClient.start`."""
        mine, session = split(options)
        return await self.executions.start_once(code, tests, session=session, **mine)

    async def version(self) -> dict[str, Any]:
        """The daemon's version, what it enforces, and its limits."""
        answer: dict[str, Any] = await self._transport.send(_calls.get("/v1/version"))
        return answer

    async def images(self) -> list[dict[str, Any]]:
        """The images that sessions can be made from."""
        answer: list[dict[str, Any]] = (await self._transport.send(_calls.get("/v1/images")))["data"]
        return answer

    async def close(self) -> None:
        """Closes all connections; sessions stay."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncTCIClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
