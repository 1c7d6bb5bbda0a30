"""Executions: code run in a session, or in one of its own, for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

from .. import _calls
from .._calls import Call
from .._progress import Progress
from .._specs import ExecOptions, Stdin, TestInput
from .._wire import FileInput
from ..errors import EventsGone
from ..models import Execution
from .streams import AsyncExecutionStream
from .transport import AsyncTransport
from .turns import Turns

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsyncExecutions:
    """``client.executions``; see :class:`Executions`.

    Executions of one session run in the order in which the tasks called
    :meth:`run`, :meth:`start` or entered a stream.
    """

    def __init__(self, transport: AsyncTransport, connections: int) -> None:
        self._transport = transport
        self._connections = connections
        self._turns = Turns()
        self._slots: Optional[asyncio.Semaphore] = None

    async def run(
        self,
        session_id: str,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        timeout: Optional[float] = None,
        stdin: Optional[Stdin] = None,
        env: Optional[Mapping[str, str]] = None,
        cwd: Optional[str] = None,
        files: Optional[FileInput] = None,
        grading: Optional[str] = None,
        max_output_bytes: Optional[int] = None,
        idempotency_key: Optional[str] = None,
    ) -> Execution:
        """Runs code in a session; arguments and errors are those of
        :meth:`Executions.run`, and StreamBroken where the daemon went away while
        the code ran. A task that is cancelled has its execution ended."""
        options = {
            "timeout": timeout,
            "stdin": stdin,
            "env": env,
            "cwd": cwd,
            "files": files,
            "grading": grading,
            "max_output_bytes": max_output_bytes,
            "idempotency_key": idempotency_key,
        }
        return await self._run(session_id, _calls.execute(session_id, code, tests, options, stream=True))

    async def run_once(
        self,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        session: Optional[Mapping[str, Any]] = None,
        **options: Unpack[ExecOptions],
    ) -> Execution:
        """Runs code in a session that is made for it and closed after it.
        ``session`` holds options of :meth:`AsyncSessions.create`."""
        return await self._run(None, _calls.execute_once(code, tests, options, session, stream=True))

    async def _run(self, session_id: Optional[str], call: Call[Execution]) -> Execution:
        # As a stream: its head tells that the execution was accepted.
        if self._slots is None:
            self._slots = asyncio.Semaphore(self._connections)
        progress = Progress(self._transport.max_retries, call, events=False)
        async with self._turns.of(session_id):
            await self._slots.acquire()
            stream = AsyncExecutionStream(self._transport, progress, self._turns)
            try:
                await stream
            except BaseException:
                self._slots.release()
                raise
        try:
            async with stream:
                return await stream.result()
        finally:
            self._slots.release()

    def stream(
        self,
        session_id: str,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        detach: bool = False,
        **options: Unpack[ExecOptions],
    ) -> AsyncExecutionStream:
        """Runs code in a session and gives its events as they come; sent when the
        stream is entered. See :meth:`Executions.stream`."""
        call = _calls.execute(session_id, code, tests, options, stream=True, detach=detach)
        return self._stream(call, session_id)

    def stream_once(
        self,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        session: Optional[Mapping[str, Any]] = None,
        detach: bool = False,
        **options: Unpack[ExecOptions],
    ) -> AsyncExecutionStream:
        """As :meth:`stream`, in a session that is made for it and closed after it."""
        return self._stream(_calls.execute_once(code, tests, options, session, stream=True, detach=detach))

    def _stream(self, call: Call[Execution], session_id: Optional[str] = None) -> AsyncExecutionStream:
        progress = Progress(self._transport.max_retries, call)
        return AsyncExecutionStream(self._transport, progress, self._turns, session_id)

    async def start(
        self,
        session_id: str,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        **options: Unpack[ExecOptions],
    ) -> Execution:
        """Starts code in a session and does not wait for it; see
        :meth:`Executions.start`."""
        call = _calls.execute(session_id, code, tests, options, detach=True)
        async with self._turns.of(session_id):
            return await self._transport.send(call)

    async def start_once(
        self,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        session: Optional[Mapping[str, Any]] = None,
        **options: Unpack[ExecOptions],
    ) -> Execution:
        """As :meth:`start`, in a session that is made for it and closed after it."""
        return await self._transport.send(_calls.execute_once(code, tests, options, session, detach=True))

    def resume(self, execution_id: str, after: int = 0) -> AsyncExecutionStream:
        """Listens to an execution from the event behind ``after`` on; see
        :meth:`Executions.resume`."""
        progress = Progress(self._transport.max_retries, None, execution_id, after)
        return AsyncExecutionStream(self._transport, progress, self._turns)

    async def wait(self, execution_id: str) -> Execution:
        """Returns an execution when it has ended; see :meth:`Executions.wait`."""
        execution = await self.get(execution_id)
        if execution.done:
            return execution
        progress = Progress(self._transport.max_retries, None, execution_id, events=False)
        try:
            async with AsyncExecutionStream(self._transport, progress, self._turns) as stream:
                return await stream.result()
        except EventsGone:
            return await self.get(execution_id)

    async def get(self, execution_id: str) -> Execution:
        """Returns an execution, also while it runs. Raises NotFoundError."""
        return await self._transport.send(_calls.get_execution(execution_id))

    async def cancel(self, execution_id: str) -> Execution:
        """Ends an execution and returns what became of it; see
        :meth:`Executions.cancel`."""
        return await self._transport.send(_calls.cancel_execution(execution_id))

    async def list(self, session_id: str) -> list[Execution]:
        """Lists what is still known of a session's executions, in their order."""
        return await self._transport.send(_calls.list_executions(session_id))
