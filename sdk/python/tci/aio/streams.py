"""The events of an execution as they come, for asyncio."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, Awaitable, Callable, Generator, Optional

from .. import _calls
from .._progress import Progress
from ..errors import TCIError
from ..events import Event
from ..models import Execution
from .transport import AsyncAnswer, AsyncTransport
from .turns import Turns


class AsyncExecutionStream:
    """As :class:`ExecutionStream`, for asyncio.

    Nothing is sent before it is entered, awaited or read from:

    >>> async with session.stream("for i in range(3): print(i)") as stream:
    ...     async for event in stream:
    ...         if event.type == "stdout":
    ...             print(event.text, end="")

    ``stream = await session.stream(code)`` sends it as well; then the stream must
    be read to its end or closed. It is for one task at a time.
    """

    def __init__(
        self, transport: AsyncTransport, progress: Progress, turns: Turns, session_id: Optional[str] = None
    ) -> None:
        self._transport = transport
        self._progress = progress
        self._turns = turns
        self._session_id = session_id
        self._answer: Optional[AsyncAnswer] = None
        self._started = False
        self._closed = False
        self._seq = progress.seq

    @property
    def execution(self) -> Optional[Execution]:
        """The execution once it has ended and its last event has been read."""
        return None if self._progress.ready else self._progress.execution

    @property
    def execution_id(self) -> str:
        """The execution's id, from the moment on at which it was sent."""
        return self._progress.execution_id or ""

    @property
    def seq(self) -> int:
        """The number of the last event that was read, which ``resume`` takes as
        ``after``; 0: none."""
        return self._seq

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        progress = self._progress
        await self._start()
        while not progress.ready:
            if progress.execution is not None or self._closed:
                raise StopAsyncIteration
            await self._try(self._open if self._answer is None else self._receive)
        event = progress.ready.popleft()
        self._seq = event.seq
        return event

    async def result(self) -> Execution:
        """Reads what is left and returns the execution."""
        async for _ in self:
            pass
        if self._progress.execution is None:
            raise ValueError(f"the stream was closed before execution {self.execution_id} had ended")
        return self._progress.execution

    async def close(self) -> None:
        """Closes the connection. What was received can still be read."""
        self._closed = True
        await self._drop()

    def __await__(self) -> Generator[Any, None, AsyncExecutionStream]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> AsyncExecutionStream:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncExecutionStream(execution_id={self.execution_id!r}, seq={self._seq})"

    async def _start(self) -> None:
        if self._started or self._closed:
            return
        self._started = True
        async with self._turns.of(self._session_id):
            while self._answer is None:
                await self._try(self._open)

    async def _try(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except TCIError as error:
            await self._drop()
            await asyncio.sleep(self._progress.failed(error))
        except BaseException:
            await self._drop()
            raise

    async def _open(self) -> None:
        self._answer = await self._transport.open(self._progress.call)
        self._progress.opened(self._answer.headers)

    async def _receive(self) -> None:
        assert self._answer is not None
        data = await self._answer.read1()
        if not data and self._progress.may_be_over:
            self._progress.over(await self._transport.send(_calls.get_execution(self.execution_id)))
        else:
            self._progress.feed(data)
        if self._progress.execution is not None:
            answer, self._answer = self._answer, None
            await answer.finish()

    async def _drop(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            await answer.close()
