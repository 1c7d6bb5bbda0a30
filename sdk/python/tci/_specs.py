"""What code and sessions are sent with: arguments checked, and put into the
wire's objects."""

from __future__ import annotations

import base64
from typing import Any, Mapping, Optional, Sequence, TypedDict, Union, cast

from ._wire import FileInput, inline_files, mapping, number, text

#: ``{"condition": "result == 4", "name"?, "reward"?, "timeout"?, "required"?}``
TestInput = Mapping[str, Any]
#: Text, sent as UTF-8, or bytes of any kind.
Stdin = Union[str, bytes]


class ExecOptions(TypedDict, total=False):
    """What every call that runs code takes beside the code and its tests.

    Keys, none of which is required:
        timeout: the execution's limit in seconds of wall time, without its time
            in the queue; the daemon's default is 60.
        stdin: what the code reads, a str or bytes; without it, end of file.
        env: dict of str to str, for this execution only.
        cwd: the working directory of this execution, in the workspace.
        files: dict of name to bytes or str, written before the code runs.
        grading: how points become the reward: ``weighted`` (default), ``sum``,
            ``all_or_nothing`` or ``fraction``.
        max_output_bytes: how many bytes of stdout and stderr are kept.
        idempotency_key: 1 to 255 visible ASCII characters that are the same in
            all tries of one request; a new one by itself when left out. Give
            one that outlives your program to try again after it died: within
            ten minutes the same key and the same code run nothing anew.
    """

    timeout: Optional[float]
    stdin: Optional[Stdin]
    env: Optional[Mapping[str, str]]
    cwd: Optional[str]
    files: Optional[FileInput]
    grading: Optional[str]
    max_output_bytes: Optional[int]
    idempotency_key: Optional[str]


EXEC_OPTIONS = frozenset(ExecOptions.__annotations__)


def exec_spec(
    code: str, tests: Optional[Sequence[TestInput]] = None, options: Optional[Mapping[str, Any]] = None
) -> dict[str, Any]:
    """Checks the arguments of an execution and makes the wire's object of them,
    without the idempotency key, which is a header."""
    if not isinstance(code, str):
        raise TypeError(f"code must be a str, not {type(code).__name__}")
    spec: dict[str, Any] = {"code": code}
    if tests is not None:
        if isinstance(tests, (str, bytes, Mapping)):
            raise TypeError("tests must be a list of dicts with a condition each")
        spec["tests"] = [_test(t) for t in tests]
    for name, value in (options or {}).items():
        if name not in EXEC_OPTIONS:
            raise TypeError(f"unknown option {name!r}; known are {', '.join(sorted(EXEC_OPTIONS))}")
        if value is None or name == "idempotency_key":
            continue
        if name == "timeout":
            spec["timeout"] = number("timeout", value)
        elif name == "stdin":
            spec.update(_stdin(value))
        elif name == "env":
            spec["env"] = mapping("env", value)
        elif name == "cwd":
            spec["cwd"] = text("cwd", value)
        elif name == "files":
            spec["files"] = inline_files(value)
        elif name == "grading":
            spec["grading"] = {"mode": text("grading", value)}
        elif isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"max_output_bytes must be an int, not {type(value).__name__}")
        else:
            spec["max_output_bytes"] = value
    return spec


def split(options: Mapping[str, Any]) -> tuple[ExecOptions, dict[str, Any]]:
    """Options of an execution, and the others, which are its session's."""
    mine = cast("ExecOptions", {k: v for k, v in options.items() if k in EXEC_OPTIONS})
    return mine, {k: v for k, v in options.items() if k not in EXEC_OPTIONS}


def _stdin(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        return {"stdin": value}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"stdin_base64": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"stdin must be str or bytes, not {type(value).__name__}")


def _test(test: TestInput) -> dict[str, Any]:
    if not isinstance(test, Mapping):
        raise TypeError(f"each test must be a dict with a condition, not {type(test).__name__}")
    return dict(test)


_SESSION_OPTIONS = frozenset(
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
        if name not in _SESSION_OPTIONS:
            raise TypeError(
                f"unknown session option {name!r}; known are {', '.join(sorted(_SESSION_OPTIONS))}"
            )
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
