"""Executions: code run in a session, or in one of its own."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Union

from ._transport import HEARTBEAT_TIMEOUT, Transport, segment
from ._wire import FileInput, inline_files, mapping, number, text
from .models import Execution
from .sessions import session_spec

#: ``{"condition": "result == 4", "name"?, "reward"?, "timeout"?, "required"?}``
TestInput = Mapping[str, Any]
Stdin = Union[str, bytes]


class Executions:
    """``client.executions``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def run(
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
    ) -> Execution:
        """Runs code in a session and returns when it has ended, however it did:
        code that fails raises nothing here; look at ``.ok`` and ``.error``.

        Args:
            tests: conditions over the session's names, evaluated afterwards.
            timeout: the execution's limit in seconds. The connection waits by
                itself for as long as the daemon shows signs of life.
            stdin: what the code reads; without it, end of file.
            env, cwd: for this execution only.
            files: name to content, written before the code runs.
            grading: how points become the reward: ``weighted`` (default),
                ``sum``, ``all_or_nothing`` or ``fraction``.
            max_output_bytes: how much of stdout and stderr is kept.

        Raises:
            SessionNotFound: there is no such session.
            InvalidRequestError: an argument is wrong.
            CapacityError: too many executions wait already.
        """
        spec = exec_spec(code, tests, timeout, stdin, env, cwd, files, grading, max_output_bytes)
        path = f"/v1/sessions/{segment(text('session_id', session_id))}/executions"
        return Execution.from_wire(self._transport.json("POST", path, spec, wait=HEARTBEAT_TIMEOUT))

    def run_once(
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
        session: Optional[Mapping[str, Any]] = None,
    ) -> Execution:
        """Runs code in a session that is made for it and closed after it.
        ``session`` holds options of :meth:`Sessions.create`."""
        spec = exec_spec(code, tests, timeout, stdin, env, cwd, files, grading, max_output_bytes)
        if session:
            spec["session"] = session_spec(session)
        return Execution.from_wire(
            self._transport.json("POST", "/v1/executions", spec, wait=HEARTBEAT_TIMEOUT)
        )

    def get(self, execution_id: str) -> Execution:
        """Returns an execution, also while it runs. Raises NotFoundError."""
        return Execution.from_wire(self._transport.json("GET", self._path(execution_id)))

    def cancel(self, execution_id: str) -> Execution:
        """Ends an execution and returns what became of it."""
        wire = self._transport.json("POST", self._path(execution_id) + "/cancel", wait=HEARTBEAT_TIMEOUT)
        return Execution.from_wire(wire)

    def list(self, session_id: str) -> list[Execution]:
        """Lists what is still known of a session's executions, in their order."""
        path = f"/v1/sessions/{segment(text('session_id', session_id))}/executions"
        return [Execution.from_wire(wire) for wire in self._transport.json("GET", path)["data"]]

    def _path(self, execution_id: str) -> str:
        return "/v1/executions/" + segment(text("execution_id", execution_id))


def exec_spec(
    code: str,
    tests: Optional[Sequence[TestInput]],
    timeout: Optional[float],
    stdin: Optional[Stdin],
    env: Optional[Mapping[str, str]],
    cwd: Optional[str],
    files: Optional[FileInput],
    grading: Optional[str],
    max_output_bytes: Optional[int],
) -> dict[str, Any]:
    """Checks the arguments of an execution and makes the wire's object of them."""
    if not isinstance(code, str):
        raise TypeError(f"code must be a str, not {type(code).__name__}")
    spec: dict[str, Any] = {"code": code}
    if tests is not None:
        if isinstance(tests, (str, bytes, Mapping)):
            raise TypeError("tests must be a list of dicts with a condition each")
        spec["tests"] = [_test(t) for t in tests]
    if timeout is not None:
        spec["timeout"] = number("timeout", timeout)
    if stdin is not None:
        if not isinstance(stdin, (str, bytes)):
            raise TypeError(f"stdin must be str or bytes, not {type(stdin).__name__}")
        # The wire carries text; bytes must be UTF-8.
        spec["stdin"] = stdin.decode("utf-8") if isinstance(stdin, bytes) else stdin
    if env is not None:
        spec["env"] = mapping("env", env)
    if cwd is not None:
        spec["cwd"] = text("cwd", cwd)
    if files is not None:
        spec["files"] = inline_files(files)
    if grading is not None:
        spec["grading"] = {"mode": text("grading", grading)}
    if max_output_bytes is not None:
        if isinstance(max_output_bytes, bool) or not isinstance(max_output_bytes, int):
            raise TypeError(f"max_output_bytes must be an int, not {type(max_output_bytes).__name__}")
        spec["max_output_bytes"] = max_output_bytes
    return spec


def _test(test: TestInput) -> dict[str, Any]:
    if not isinstance(test, Mapping):
        raise TypeError(f"each test must be a dict with a condition, not {type(test).__name__}")
    return dict(test)
