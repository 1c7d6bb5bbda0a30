"""Sessions: made, found, changed and closed, for asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

from .. import _calls
from .._calls import Content
from .._session import SessionState
from .._specs import ExecOptions, Stdin, TestInput
from .._wire import FileInput
from ..errors import SessionNotFound
from ..models import Completions, Execution, File, FileInfo, IsComplete
from .executions import AsyncExecutions
from .files import AsyncFiles
from .streams import AsyncExecutionStream
from .transport import AsyncTransport

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsyncSession(SessionState):
    """A session and what can be done with it; the attributes are those of
    :class:`Session`. It is an asynchronous context manager that closes the session
    at its end: ``async with await client.sessions.create() as session``."""

    def __init__(
        self, wire: Mapping[str, Any], sessions: AsyncSessions, executions: AsyncExecutions, files: AsyncFiles
    ) -> None:
        super().__init__(wire)
        self._sessions = sessions
        self._executions = executions
        self.files = AsyncSessionFiles(files, self.id)

    async def run(
        self,
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
        """Runs code here; see :meth:`Executions.run`."""
        return await self._executions.run(
            self.id,
            code,
            tests,
            timeout=timeout,
            stdin=stdin,
            env=env,
            cwd=cwd,
            files=files,
            grading=grading,
            max_output_bytes=max_output_bytes,
            idempotency_key=idempotency_key,
        )

    def stream(
        self,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        detach: bool = False,
        **options: Unpack[ExecOptions],
    ) -> AsyncExecutionStream:
        """Runs code here and gives its events; see :meth:`AsyncExecutions.stream`."""
        return self._executions.stream(self.id, code, tests, detach=detach, **options)

    async def start(
        self, code: str, tests: Optional[Sequence[TestInput]] = None, **options: Unpack[ExecOptions]
    ) -> Execution:
        """Starts code here and does not wait; see :meth:`Executions.start`."""
        return await self._executions.start(self.id, code, tests, **options)

    async def executions(self) -> list[Execution]:
        """What is still known of the session's executions, in their order."""
        return await self._executions.list(self.id)

    async def complete(self, code: str, cursor: Optional[int] = None) -> Completions:
        """See :meth:`Sessions.complete`."""
        return await self._sessions.complete(self.id, code, cursor)

    async def is_complete(self, code: str) -> IsComplete:
        """See :meth:`Sessions.is_complete`."""
        return await self._sessions.is_complete(self.id, code)

    async def interrupt(self) -> None:
        """Sends SIGINT to what runs; variables are kept."""
        await self._sessions.interrupt(self.id)

    async def restart(self) -> AsyncSession:
        """Starts a new interpreter; files are kept, variables are not."""
        self._set((await self._sessions.restart(self.id)).raw)
        return self

    async def refresh(self) -> AsyncSession:
        """Asks the daemon for the session's present state."""
        self._set((await self._sessions.get(self.id)).raw)
        return self

    async def close(self) -> bool:
        """Ends the session; True, also when it has ended already."""
        return await self._sessions.close(self.id)

    async def __aenter__(self) -> AsyncSession:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncSessionFiles:
    """The files of one session."""

    def __init__(self, files: AsyncFiles, session_id: str) -> None:
        self._files = files
        self._session_id = session_id

    async def upload(self, remote_path: str, content: Content, *, mode: Optional[int] = None) -> bool:
        """See :meth:`Files.upload`."""
        return await self._files.upload(self._session_id, remote_path, content, mode=mode)

    async def download(self, remote_path: str) -> File:
        """See :meth:`Files.download`."""
        return await self._files.download(self._session_id, remote_path)

    async def list(self, path: str = "", *, recursive: bool = False) -> list[FileInfo]:
        """See :meth:`Files.list`."""
        return await self._files.list(self._session_id, path, recursive=recursive)

    async def delete(self, remote_path: str, *, recursive: bool = False) -> bool:
        """See :meth:`Files.delete`."""
        return await self._files.delete(self._session_id, remote_path, recursive=recursive)


class AsyncSessions:
    """``client.sessions``; see :class:`Sessions` for arguments and errors."""

    def __init__(self, transport: AsyncTransport, executions: AsyncExecutions, files: AsyncFiles) -> None:
        self._transport = transport
        self._executions = executions
        self._files = files

    async def create(self, language: str = "python", **options: Any) -> AsyncSession:
        """Makes a session and returns it once it is ready."""
        call = _calls.create_session({"language": language, **options})
        return self._session(await self._transport.send(call))

    async def get(self, session_id: str) -> AsyncSession:
        """Finds a live session. Raises SessionNotFound."""
        return self._session(await self._transport.send(_calls.get_session(session_id)))

    async def list(
        self, *, state: Optional[str] = None, metadata: Optional[Mapping[str, str]] = None
    ) -> list[AsyncSession]:
        """Lists live sessions, the oldest first."""
        found = []
        after: Optional[str] = None
        while True:
            page = await self._transport.send(_calls.list_sessions(state, metadata, after))
            found += [self._session(wire) for wire in page["data"]]
            after = page["next"]
            if after is None:
                return found

    async def update(
        self,
        session_id: str,
        *,
        ttl: Optional[float] = None,
        idle_timeout: Optional[float] = None,
        metadata: Optional[Mapping[str, str]] = None,
    ) -> AsyncSession:
        """Changes a live session; ``ttl`` counts from now, 0 means no end."""
        call = _calls.update_session(session_id, ttl, idle_timeout, metadata)
        return self._session(await self._transport.send(call))

    async def close(self, session_id: str) -> bool:
        """Ends a session and waits until nothing of it is left. Returns True,
        also for a session that has ended already or never was."""
        try:
            await self._transport.send(_calls.close_session(session_id))
        except SessionNotFound:
            pass
        return True

    async def close_all(self, metadata: Mapping[str, str]) -> int:
        """Ends all sessions with these labels and returns their number."""
        return await self._transport.send(_calls.close_sessions(metadata))

    async def interrupt(self, session_id: str) -> AsyncSession:
        """Sends SIGINT to what runs in the session; variables are kept."""
        return self._session(await self._transport.send(_calls.interrupt_session(session_id)))

    async def restart(self, session_id: str) -> AsyncSession:
        """Gives the session a new interpreter; files are kept."""
        return self._session(await self._transport.send(_calls.restart_session(session_id)))

    async def complete(self, session_id: str, code: str, cursor: Optional[int] = None) -> Completions:
        """Asks what could stand in ``code`` at ``cursor``."""
        return await self._transport.send(_calls.complete(session_id, code, cursor))

    async def is_complete(self, session_id: str, code: str) -> IsComplete:
        """Asks whether ``code`` could be run as it is."""
        return await self._transport.send(_calls.is_complete(session_id, code))

    def _session(self, wire: Mapping[str, Any]) -> AsyncSession:
        return AsyncSession(wire, self, self._executions, self._files)
