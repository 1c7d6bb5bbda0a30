"""Sessions: made, found, changed and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence

from ._transport import Transport, segment
from ._wire import FileInput, inline_files, mapping, number, text
from .errors import SessionNotFound

if TYPE_CHECKING:
    from .executions import Executions, Stdin, TestInput
    from .files import Content, Files
    from .models import Execution, File, FileInfo

#: Starting a session waits for a Python to start, on a busy host for long.
_CREATE_WAIT = 120.0


class Session:
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
        self._sessions = sessions
        self._executions = executions
        self.files = SessionFiles(files, wire["id"])
        self._set(wire)

    def _set(self, wire: Mapping[str, Any]) -> Session:
        self.raw = wire
        self.id: str = wire["id"]
        self.language: str = wire["language"]
        self.state: str = wire["state"]
        self.created_at: str = wire["created_at"]
        self.expires_at: Optional[str] = wire["expires_at"]
        self.last_execute_at: Optional[str] = wire["last_execute_at"]
        self.execute_count: int = wire["execute_count"]
        self.metadata: dict[str, str] = wire["metadata"]
        self.resources: dict[str, Any] = wire["resources"]
        self.network: dict[str, Any] = wire["network"]
        self.isolation: dict[str, Any] = wire["isolation"]
        self.image: str = wire["image"]
        self.image_digest: str = wire["image_digest"]
        self.idle_timeout: float = wire["idle_timeout"]
        self.kernel_restarts: int = wire["kernel_restarts"]
        self.sandbox: str = wire["sandbox"]
        self.reason: Optional[str] = wire.get("reason")
        return self

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
        )

    def interrupt(self) -> None:
        """Sends SIGINT to what runs; variables are kept."""
        self._sessions.interrupt(self.id)

    def restart(self) -> Session:
        """Starts a new interpreter; files are kept, variables are not."""
        return self._set(self._sessions.restart(self.id).raw)

    def refresh(self) -> Session:
        """Asks the daemon for the session's present state."""
        return self._set(self._sessions.get(self.id).raw)

    def close(self) -> bool:
        """Ends the session; True, also when it has ended already."""
        return self._sessions.close(self.id)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Session(id={self.id!r}, state={self.state!r})"


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
        ``network``, ``image``, ``isolation``, and ``files``: a dict of name to
        bytes or str.

        Raises:
            InvalidRequestError: an option is wrong.
            CapacityError: there is no room now.
        """
        body = session_spec({"language": language, **options})
        wire = self._transport.json("POST", "/v1/sessions", body, wait=_CREATE_WAIT)
        return self._session(wire)

    def get(self, session_id: str) -> Session:
        """Finds a live session. Raises SessionNotFound."""
        return self._session(self._transport.json("GET", self._path(session_id)))

    def list(
        self, *, state: Optional[str] = None, metadata: Optional[Mapping[str, str]] = None
    ) -> list[Session]:
        """Lists live sessions, the oldest first."""
        return list(self._pages(state, metadata))

    def _pages(self, state: Optional[str], metadata: Optional[Mapping[str, str]]) -> Iterator[Session]:
        query = _metadata_query(metadata)
        if state is not None:
            query["state"] = text("state", state)
        while True:
            page = self._transport.json("GET", "/v1/sessions", query=query)
            yield from (self._session(wire) for wire in page["data"])
            if page["next"] is None:
                return
            query["after"] = page["next"]

    def update(
        self,
        session_id: str,
        *,
        ttl: Optional[float] = None,
        idle_timeout: Optional[float] = None,
        metadata: Optional[Mapping[str, str]] = None,
    ) -> Session:
        """Changes a live session; ``ttl`` counts from now, 0 means no end."""
        body: dict[str, Any] = {}
        if ttl is not None:
            body["ttl"] = number("ttl", ttl)
        if idle_timeout is not None:
            body["idle_timeout"] = number("idle_timeout", idle_timeout)
        if metadata is not None:
            body["metadata"] = mapping("metadata", metadata)
        return self._session(self._transport.json("PATCH", self._path(session_id), body))

    def close(self, session_id: str) -> bool:
        """Ends a session and waits until nothing of it is left. Returns True,
        also for a session that has ended already or never was."""
        try:
            self._transport.json("DELETE", self._path(session_id), wait=_CREATE_WAIT)
        except SessionNotFound:
            pass
        return True

    def close_all(self, metadata: Mapping[str, str]) -> int:
        """Ends all sessions with these labels and returns their number."""
        query = _metadata_query(metadata)
        if not query:
            raise ValueError("close_all needs at least one label in metadata")
        answer = self._transport.json("DELETE", "/v1/sessions", query=query, wait=_CREATE_WAIT)
        return int(answer["closed"])

    def interrupt(self, session_id: str) -> Session:
        """Sends SIGINT to what runs in the session; variables are kept."""
        return self._session(self._transport.json("POST", self._path(session_id) + "/interrupt"))

    def restart(self, session_id: str) -> Session:
        """Gives the session a new interpreter; files are kept."""
        return self._session(
            self._transport.json("POST", self._path(session_id) + "/restart", wait=_CREATE_WAIT)
        )

    def _path(self, session_id: str) -> str:
        return "/v1/sessions/" + segment(text("session_id", session_id))

    def _session(self, wire: Mapping[str, Any]) -> Session:
        return Session(wire, self, self._executions, self._files)


_OPTIONS = frozenset(
    {
        "language",
        "isolation",
        "ttl",
        "idle_timeout",
        "env",
        "cwd",
        "metadata",
        "resources",
        "network",
        "files",
        "image",
    }
)


def session_spec(options: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the options of a session and makes the wire's object of them."""
    body: dict[str, Any] = {}
    for name, value in options.items():
        if name not in _OPTIONS:
            raise TypeError(f"unknown session option {name!r}; known are {', '.join(sorted(_OPTIONS))}")
        if value is None:
            continue
        if name in ("ttl", "idle_timeout"):
            body[name] = number(name, value)
        elif name in ("env", "metadata"):
            body[name] = mapping(name, value)
        elif name == "files":
            body[name] = inline_files(value)
        elif name in ("resources", "network"):
            if not isinstance(value, Mapping):
                raise TypeError(f"{name} must be a dict, not {type(value).__name__}")
            body[name] = dict(value)
        else:
            body[name] = text(name, value)
    return body


def _metadata_query(metadata: Optional[Mapping[str, str]]) -> dict[str, str]:
    return {f"metadata.{k}": v for k, v in mapping("metadata", metadata or {}).items()}
