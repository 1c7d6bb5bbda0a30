"""The requests of the API and how to read their answers, for both clients: what
is sent and when it may be sent again is decided here, how is the transports'."""

from __future__ import annotations

import io
import urllib.parse
import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Generic, Mapping, Optional, Sequence, TypeVar, Union

from ._specs import TestInput, exec_spec, session_spec
from ._wire import count, decode, encode, mapping, number, segment, text
from .models import Completions, Execution, FileInfo, IsComplete

#: Seconds to wait for the next byte while code runs: the daemon shows a sign of
#: life every 10 seconds.
HEARTBEAT_TIMEOUT = 60.0
#: Starting a session waits for a Python to start, on a busy host for long.
CREATE_TIMEOUT = 120.0
#: As long as that before a stream counts as broken; it has a keepalive every 5.
STREAM_TIMEOUT = 30.0
NDJSON = "application/x-ndjson"

Body = Union[bytes, io.BufferedIOBase, io.RawIOBase]
#: Bytes, text (sent as UTF-8), or a file opened for reading bytes.
Content = Union[bytes, bytearray, memoryview, str, io.BufferedIOBase, io.RawIOBase]
T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how its answer is read.

    Attributes:
        read: makes the value of a whole answer's body.
        wait: seconds to wait for the next byte, where that may take longer than
            the client's timeout.
        again: whether it may be sent again though the daemon may have carried it
            out already.
        key: its Idempotency-Key; None: it takes none.
    """

    method: str
    path: str
    read: Callable[[bytes], T]
    body: Optional[Body] = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    again: bool = True
    key: Optional[str] = None

    @property
    def target(self) -> str:
        """The path and the query."""
        return self.path + ("?" + urllib.parse.urlencode(self.query) if self.query else "")

    def all_headers(self, api_key: Optional[str]) -> dict[str, str]:
        """The headers to send."""
        headers = {"Accept": "*/*", **self.headers}
        if self.key is not None:
            headers["Idempotency-Key"] = self.key
        if api_key:
            headers["Authorization"] = "Bearer " + api_key
        return headers


def _json(parse: Callable[[Any], T]) -> Callable[[bytes], T]:
    return lambda answer: parse(decode(answer))


def _same(wire: Any) -> Any:
    return wire


def _posted(path: str, body: Mapping[str, Any], parse: Callable[[Any], T], **more: Any) -> Call[T]:
    headers = {"Content-Type": "application/json"}
    return Call("POST", path, _json(parse), encode(body), headers=headers, **more)


def _key(options: Mapping[str, Any]) -> str:
    given = options.get("idempotency_key")
    return uuid.uuid4().hex if given is None else text("idempotency_key", given)


# The daemon.


def get(path: str, parse: Callable[[Any], T] = _same) -> Call[T]:
    """A plain request for JSON."""
    return Call("GET", path, _json(parse))


# Sessions. Their answers are read as dicts: each client has its own objects.


def _session_path(session_id: str, rest: str = "") -> str:
    return "/v1/sessions/" + segment(text("session_id", session_id)) + rest


def create_session(options: Mapping[str, Any]) -> Call[Any]:
    """Makes a session."""
    key = _key(options)
    spec = session_spec({k: v for k, v in options.items() if k != "idempotency_key"})
    return _posted("/v1/sessions", spec, _same, wait=CREATE_TIMEOUT, key=key)


def get_session(session_id: str) -> Call[Any]:
    """Reads a session."""
    return get(_session_path(session_id))


def list_sessions(
    state: Optional[str], metadata: Optional[Mapping[str, str]], after: Optional[str]
) -> Call[Any]:
    """Reads one page of sessions."""
    query = _metadata_query(metadata)
    if state is not None:
        query["state"] = text("state", state)
    if after is not None:
        query["after"] = after
    return replace(get("/v1/sessions"), query=query)


def update_session(
    session_id: str,
    ttl: Optional[float],
    idle_timeout: Optional[float],
    metadata: Optional[Mapping[str, str]],
) -> Call[Any]:
    """Changes a session."""
    body: dict[str, Any] = {}
    if ttl is not None:
        body["ttl"] = number("ttl", ttl)
    if idle_timeout is not None:
        body["idle_timeout"] = number("idle_timeout", idle_timeout)
    if metadata is not None:
        body["metadata"] = mapping("metadata", metadata)
    return replace(_posted(_session_path(session_id), body, _same), method="PATCH")


def close_session(session_id: str) -> Call[Any]:
    """Ends a session."""
    return Call("DELETE", _session_path(session_id), _json(_same), wait=CREATE_TIMEOUT)


def close_sessions(metadata: Mapping[str, str]) -> Call[int]:
    """Ends all sessions with some labels."""
    query = _metadata_query(metadata)
    if not query:
        raise ValueError("close_all needs at least one label in metadata")
    # Sent again, it would tell how many were left to close.
    return Call(
        "DELETE",
        "/v1/sessions",
        _json(lambda wire: int(wire["closed"])),
        query=query,
        wait=CREATE_TIMEOUT,
        again=False,
    )


def interrupt_session(session_id: str) -> Call[Any]:
    """Sends SIGINT. A second one could hit the next execution."""
    return Call("POST", _session_path(session_id, "/interrupt"), _json(_same), again=False)


def restart_session(session_id: str) -> Call[Any]:
    """Starts a new interpreter."""
    return Call(
        "POST", _session_path(session_id, "/restart"), _json(_same), wait=CREATE_TIMEOUT, key=_key({})
    )


def complete(session_id: str, code: str, cursor: Optional[int]) -> Call[Completions]:
    """Asks what could stand in code."""
    body = exec_spec(code)
    if cursor is not None:
        body["cursor"] = count("cursor", cursor)
    return _posted(_session_path(session_id, "/complete"), body, Completions.from_wire)


def is_complete(session_id: str, code: str) -> Call[IsComplete]:
    """Asks whether code could be run."""
    return _posted(_session_path(session_id, "/is_complete"), exec_spec(code), IsComplete.from_wire)


def _metadata_query(metadata: Optional[Mapping[str, str]]) -> dict[str, str]:
    return {f"metadata.{k}": v for k, v in mapping("metadata", metadata or {}).items()}


# Executions.


def execute(
    session_id: str,
    code: str,
    tests: Optional[Sequence[TestInput]],
    options: Mapping[str, Any],
    *,
    stream: bool = False,
    detach: bool = False,
) -> Call[Execution]:
    """Runs code in a session."""
    path = _session_path(session_id, "/executions")
    return _executed(path, exec_spec(code, tests, options), options, stream, detach)


def execute_once(
    code: str,
    tests: Optional[Sequence[TestInput]],
    options: Mapping[str, Any],
    session: Optional[Mapping[str, Any]],
    *,
    stream: bool = False,
    detach: bool = False,
) -> Call[Execution]:
    """Runs code in a session of its own, made with the options in ``session``."""
    spec = exec_spec(code, tests, options)
    if session:
        spec["session"] = session_spec(session)
    return _executed("/v1/executions", spec, options, stream, detach)


def _executed(
    path: str, spec: dict[str, Any], options: Mapping[str, Any], stream: bool, detach: bool
) -> Call[Execution]:
    if stream:
        spec["stream"] = True
    if detach:
        spec["detach"] = True
    call = _posted(path, spec, Execution.from_wire, wait=HEARTBEAT_TIMEOUT, key=_key(options))
    return replace(call, headers={**call.headers, "Accept": NDJSON}) if stream else call


def _execution_path(execution_id: str, rest: str = "") -> str:
    return "/v1/executions/" + segment(text("execution_id", execution_id)) + rest


def get_execution(execution_id: str) -> Call[Execution]:
    """Reads an execution."""
    return get(_execution_path(execution_id), Execution.from_wire)


def list_executions(session_id: str) -> Call[list[Execution]]:
    """Reads a session's executions."""
    return get(
        _session_path(session_id, "/executions"),
        lambda wire: [Execution.from_wire(one) for one in wire["data"]],
    )


def cancel_execution(execution_id: str) -> Call[Execution]:
    """Ends an execution."""
    return Call(
        "POST", _execution_path(execution_id, "/cancel"), _json(Execution.from_wire), wait=HEARTBEAT_TIMEOUT
    )


def events(execution_id: str, after: int) -> Call[Any]:
    """Listens to an execution."""
    return Call(
        "GET",
        _execution_path(execution_id, "/events"),
        _json(_same),
        query={"after": str(count("after", after))},
        headers={"Accept": NDJSON},
        wait=STREAM_TIMEOUT,
    )


# Files.


def upload(
    session_id: str, remote_path: str, content: Content, mode: Optional[int], overwrite: bool
) -> Call[bytes]:
    """Writes a file."""
    body: Body
    if isinstance(content, str):
        body = content.encode("utf-8")
    elif isinstance(content, (bytes, bytearray, memoryview)):
        body = bytes(content)
    elif hasattr(content, "read") and not isinstance(content, io.TextIOBase):
        # http.client would send text as Latin-1.
        body = content
    else:
        raise TypeError(
            f"content must be bytes, str or a file opened for bytes, not {type(content).__name__}"
        )
    headers = {"Content-Type": "application/octet-stream"}
    if not overwrite:
        headers["If-None-Match"] = "*"
    return Call(
        "PUT",
        _file_path(session_id, remote_path),
        bytes,
        body,
        query={"mode": f"{mode:04o}"} if mode is not None else {},
        headers=headers,
        wait=HEARTBEAT_TIMEOUT,
        # What was read from a file can't be read again, and a file that is there
        # may be this very one.
        again=isinstance(body, bytes) and overwrite,
    )


def download(session_id: str, remote_path: str) -> Call[bytes]:
    """Reads a file."""
    return Call("GET", _file_path(session_id, remote_path), bytes, wait=HEARTBEAT_TIMEOUT)


def list_files(session_id: str, path: str, recursive: bool) -> Call[list[FileInfo]]:
    """Lists a directory."""
    query = {}
    if path:
        query["path"] = path
    if recursive:
        query["recursive"] = "true"
    call = get(
        _session_path(session_id, "/files"), lambda wire: [FileInfo.from_wire(one) for one in wire["data"]]
    )
    return replace(call, query=query)


def delete_file(session_id: str, remote_path: str, recursive: bool) -> Call[Any]:
    """Removes a file. Sent again, it would not find what it has removed."""
    query = {"recursive": "true"} if recursive else {}
    return Call("DELETE", _file_path(session_id, remote_path), _json(_same), query=query, again=False)


def _file_path(session_id: str, remote_path: str) -> str:
    # A leading slash is kept, in a form that survives: the daemon knows absolute
    # paths below the workspace.
    root = "%2F" if text("remote_path", remote_path).startswith("/") else ""
    # Slashes that stand together are one, as in a file system.
    segments = [s for s in remote_path.split("/") if s]
    if segments and remote_path.endswith("/"):
        segments.append("")
    return _session_path(session_id, f"/files/{root}" + "/".join(segment(s) for s in segments))
