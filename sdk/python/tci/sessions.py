"""Sessions: made, found, changed and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence

from . import _calls
from ._calls import Content
from ._session import SessionState
from ._specs import ExecOptions, Stdin, TestInput
from ._transport import Transport
from ._wire import FileInput
from .errors import SessionNotFound
from .files import Files
from .models import Completions, Execution, File, FileInfo, IsComplete

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .executions import Executions
    from .streams import ExecutionStream


class Session(SessionState):
    """A session and what can be done with it.

    It is a context manager that closes the session at its end. Attributes:

        id, language, state, created_at, expires_at, last_execute_at,
        execute_count, metadata, resources, network, isolation, image,
        image_digest, idle_timeout, kernel_restarts, sandbox, reason: as the
        daemon told them last; :meth:`refresh` asks again. ``isolation["start"]``
        is ``"fork"`` or ``"fresh"``, and ``isolation["warnings"]`` says why not
        the one that was asked for.
        files: ``upload``, ``download``, ``list`` and ``delete`` of this session.
    """

    def __init__(
        self, wire: Mapping[str, Any], sessions: Sessions, executions: Executions, files: Files
    ) -> None:
        super().__init__(wire)
        self._sessions = sessions
        self._executions = executions
        self.files = SessionFiles(files, self.id)

    def run(
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
        return self._executions.run(
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
    ) -> ExecutionStream:
        """Runs code here and gives its events; see :meth:`Executions.stream`."""
        return self._executions.stream(self.id, code, tests, detach=detach, **options)

    def start(
        self, code: str, tests: Optional[Sequence[TestInput]] = None, **options: Unpack[ExecOptions]
    ) -> Execution:
        """Starts code here and does not wait; see :meth:`Executions.start`."""
        return self._executions.start(self.id, code, tests, **options)

    def executions(self) -> list[Execution]:
        """What is still known of the session's executions, in their order."""
        return self._executions.list(self.id)

    def complete(self, code: str, cursor: Optional[int] = None) -> Completions:
        """See :meth:`Sessions.complete`."""
        return self._sessions.complete(self.id, code, cursor)

    def is_complete(self, code: str) -> IsComplete:
        """See :meth:`Sessions.is_complete`."""
        return self._sessions.is_complete(self.id, code)

    def interrupt(self) -> None:
        """Sends SIGINT to what runs; variables are kept."""
        self._sessions.interrupt(self.id)

    def restart(self) -> Session:
        """Starts a new interpreter; files are kept, variables are not."""
        self._set(self._sessions.restart(self.id).raw)
        return self

    def refresh(self) -> Session:
        """Asks the daemon for the session's present state."""
        self._set(self._sessions.get(self.id).raw)
        return self

    def close(self) -> bool:
        """Ends the session; True, also when it has ended already."""
        return self._sessions.close(self.id)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SessionFiles:
    """The files of one session."""

    def __init__(self, files: Files, session_id: str) -> None:
        self._files = files
        self._session_id = session_id

    def upload(self, remote_path: str, content: Content, *, mode: Optional[int] = None) -> bool:
        """See :meth:`Files.upload`."""
        return self._files.upload(self._session_id, remote_path, content, mode=mode)

    def download(self, remote_path: str) -> File:
        """See :meth:`Files.download`."""
        return self._files.download(self._session_id, remote_path)

    def list(self, path: str = "", *, recursive: bool = False) -> list[FileInfo]:
        """See :meth:`Files.list`."""
        return self._files.list(self._session_id, path, recursive=recursive)

    def delete(self, remote_path: str, *, recursive: bool = False) -> bool:
        """See :meth:`Files.delete`."""
        return self._files.delete(self._session_id, remote_path, recursive=recursive)


class Sessions:
    """``client.sessions``."""

    def __init__(self, transport: Transport, executions: Executions, files: Files) -> None:
        self._transport = transport
        self._executions = executions
        self._files = files

    def create(self, language: str = "python", **options: Any) -> Session:
        """Makes a session and returns it once it is ready.

        Options (all as in the API description): ``ttl`` and ``idle_timeout`` in
        seconds, ``env`` and ``metadata`` as dicts of strings, ``cwd``,
        ``resources`` (``memory_mb``, ``cpus``, ``pids``, ``disk_mb``),
        ``network``, ``image``, ``isolation``, ``files``: a dict of name to
        bytes or str, and ``idempotency_key``, as in :class:`ExecOptions`.

        Raises:
            InvalidRequestError: an option is wrong.
            CapacityError: there is no room now, also after all retries.
        """
        return self._session(self._transport.send(_calls.create_session({"language": language, **options})))

    def get(self, session_id: str) -> Session:
        """Finds a live session. Raises SessionNotFound."""
        return self._session(self._transport.send(_calls.get_session(session_id)))

    def list(
        self, *, state: Optional[str] = None, metadata: Optional[Mapping[str, str]] = None
    ) -> list[Session]:
        """Lists live sessions, the oldest first."""
        return list(self._pages(state, metadata))

    def _pages(self, state: Optional[str], metadata: Optional[Mapping[str, str]]) -> Iterator[Session]:
        after: Optional[str] = None
        while True:
            page = self._transport.send(_calls.list_sessions(state, metadata, after))
            yield from (self._session(wire) for wire in page["data"])
            after = page["next"]
            if after is None:
                return

    def update(
        self,
        session_id: str,
        *,
        ttl: Optional[float] = None,
        idle_timeout: Optional[float] = None,
        metadata: Optional[Mapping[str, str]] = None,
    ) -> Session:
        """Changes a live session; ``ttl`` counts from now, 0 means no end."""
        return self._session(
            self._transport.send(_calls.update_session(session_id, ttl, idle_timeout, metadata))
        )

    def close(self, session_id: str) -> bool:
        """Ends a session and waits until nothing of it is left. Returns True,
        also for a session that has ended already or never was."""
        try:
            self._transport.send(_calls.close_session(session_id))
        except SessionNotFound:
            pass
        return True

    def close_all(self, metadata: Mapping[str, str]) -> int:
        """Ends all sessions with these labels and returns their number."""
        return self._transport.send(_calls.close_sessions(metadata))

    def interrupt(self, session_id: str) -> Session:
        """Sends SIGINT to what runs in the session, as a notebook's stop button
        does: the code sees a KeyboardInterrupt, variables are kept."""
        return self._session(self._transport.send(_calls.interrupt_session(session_id)))

    def restart(self, session_id: str) -> Session:
        """Gives the session a new interpreter; files are kept. What runs ends as
        ``interrupted``, what is queued runs afterwards."""
        return self._session(self._transport.send(_calls.restart_session(session_id)))

    def complete(self, session_id: str, code: str, cursor: Optional[int] = None) -> Completions:
        """Asks what could stand in ``code`` at ``cursor``, in characters from its
        start; None: at its end. Raises ConflictError while code runs."""
        return self._transport.send(_calls.complete(session_id, code, cursor))

    def is_complete(self, session_id: str, code: str) -> IsComplete:
        """Asks whether ``code`` could be run as it is. Raises ConflictError while
        code runs."""
        return self._transport.send(_calls.is_complete(session_id, code))

    def _session(self, wire: Mapping[str, Any]) -> Session:
        return Session(wire, self, self._executions, self._files)
