"""What the daemon answers with, as objects."""

from __future__ import annotations

import base64
import reprlib
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from ._display import html_of, png_of
from .errors import ExecutionError

#: What :attr:`Execution.text` is cut to, in characters.
TEXT_LIMIT = 20_000


@dataclass(frozen=True)
class ExecutionFailure:
    """Why an execution did not end ok.

    Attributes:
        name: the exception's class, or ``TimeoutError``, ``KernelDied``, …
        value: its text.
        traceback: the lines of the traceback.
    """

    name: str
    value: str
    traceback: list[str]

    def __str__(self) -> str:
        return "\n".join(self.traceback) or f"{self.name}: {self.value}"


@dataclass(frozen=True)
class TestResult:
    """The verdict of one test; ``reward`` is the points that it earned."""

    __test__ = False  # not a test case for pytest

    name: str
    passed: bool
    reward: float
    status: str = ""
    message: str = ""
    type: str = "condition"
    score: float = 0.0
    integrity: str = ""
    duration_ms: float = 0.0
    index: int = 0

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> TestResult:
        """Makes a verdict from the daemon's JSON object."""
        return cls(**_known(cls, wire))


@dataclass(frozen=True)
class Receipt:
    """What an execution cost and what its limits did to it, measured from outside
    the sandbox. ``limits_hit`` names the limits that took effect, such as
    ``"memory"``; the numbers say how much.

    Attributes:
        wall_ms: Milliseconds from start to end, without the tests.
        queue_ms: Milliseconds spent waiting for earlier executions.
        cpu_user_ms: Milliseconds of CPU in user code.
        cpu_system_ms: Milliseconds of CPU in the kernel.
        throttled_ms: Milliseconds for which the CPU limit held it back.
        max_memory_bytes: The session's highest use of memory, in bytes.
        oom_kills: Processes that the memory limit ended.
        max_pids: The most processes and threads; None where the host doesn't tell.
        refused_forks: Processes and threads that their limit refused.
        max_open_files: The most open descriptors of the Python process that were
            seen at its end and every 50 milliseconds before; None if it ended first.
        output_bytes: Bytes of stdout, stderr and display items, kept or not.
        dropped_output_bytes: Those of output_bytes that were dropped.
        displays: Display items and results that were shown, kept or not.
        dropped_displays: Those of displays that were dropped.
        workspace_bytes: Bytes that the workspace's files take at its end.
        workspace_files: Files, directories and links in the workspace at its end.
        limits_hit: "memory", "cpu", "pids", "time", "open_files", "disk", "files",
            "output" or "displays".
    """

    wall_ms: float = 0.0
    queue_ms: float = 0.0
    cpu_user_ms: float = 0.0
    cpu_system_ms: float = 0.0
    throttled_ms: float = 0.0
    max_memory_bytes: int = 0
    oom_kills: int = 0
    max_pids: Optional[int] = None
    refused_forks: int = 0
    max_open_files: Optional[int] = None
    output_bytes: int = 0
    dropped_output_bytes: int = 0
    displays: int = 0
    dropped_displays: int = 0
    workspace_bytes: int = 0
    workspace_files: int = 0
    limits_hit: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FileChange:
    """A file of the workspace that changed while code ran.

    Attributes:
        change: ``created``, ``modified`` or ``deleted``; of a deleted one the
            other fields say what was there.
        path: relative to the workspace, with slashes.
        name: the last part of the path.
        size: bytes.
        type: ``file``, ``directory``, ``symlink`` or ``other``.
        mode: permission bits in octal, such as ``"0644"``.
        modified_at: RFC 3339 in UTC.
    """

    change: str
    path: str
    name: str = ""
    size: int = 0
    type: str = "file"
    mode: str = ""
    modified_at: str = ""

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> FileChange:
        """Makes a change from the daemon's JSON object."""
        return cls(**_known(cls, wire))


@dataclass(frozen=True)
class Completions:
    """What could stand in code between the characters ``start`` and ``end``,
    which count code points from 0."""

    matches: list[str]
    start: int
    end: int

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Completions:
        """Makes completions from the daemon's JSON object."""
        return cls(**_known(cls, wire))


@dataclass(frozen=True)
class IsComplete:
    """Whether code could be run as it is: ``status`` is ``complete``,
    ``incomplete`` (more lines have to follow) or ``invalid``; ``indent`` is what
    the next line should begin with."""

    status: str
    indent: str = ""

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> IsComplete:
        """Makes an answer from the daemon's JSON object."""
        return cls(**_known(cls, wire))


@dataclass(frozen=True, repr=False)
class Execution:
    """One run of one piece of code. In a notebook it shows what the code showed.

    Attributes:
        stdout, stderr: what was written, the middle cut out when it was long.
        result: the value of the last expression, or else of the variable
            ``result`` when this execution bound it: the value itself when it is
            plain JSON, else its ``repr``, else ``None``.
        status: ``ok``, ``error``, ``timeout``, ``interrupted``, ``cancelled``,
            ``memory_limit``, ``crashed``, ``expired`` or ``infra_error``; before
            its end ``queued`` or ``running``, and the other attributes hold what
            is known by then.
        outputs: everything shown, in order, as dicts ``{"type", "data"}``.
        tests, reward: the verdicts and the reward; ``None`` without tests, and
            when the infrastructure failed.
        state_lost: the variables of earlier executions are gone.
        index: 1 for the session's first execution.
        truncated: the bytes that were cut out, ``stdout_bytes`` and ``stderr_bytes``.
        files: the workspace's files that changed, by path, as :class:`FileChange`.
            Not those in hidden directories or in ``__pycache__``.
        files_truncated: the workspace has more files than are looked at.
        idempotent_replay: this is the stored answer to an earlier request.
        raw: the daemon's whole answer.
    """

    id: str
    session_id: str
    status: str
    stdout: str
    stderr: str
    result: Any
    error: Optional[ExecutionFailure]
    tests: list[TestResult]
    reward: Optional[float]
    outputs: list[dict[str, Any]]
    receipt: Receipt
    result_repr: Optional[str] = None
    result_source: str = "none"
    state_lost: bool = False
    points: float = 0.0
    max_points: float = 0.0
    passed: int = 0
    total: int = 0
    index: int = 0
    truncated: Mapping[str, int] = field(default_factory=dict)
    files: list[FileChange] = field(default_factory=list)
    files_truncated: bool = False
    idempotent_replay: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Execution:
        """Makes an execution from the daemon's JSON object."""
        error = wire.get("error")
        result = wire.get("result")
        if result is None:
            result = wire.get("result_repr")
            if result == "None":
                result = None
        return cls(
            id=wire["id"],
            session_id=wire["session_id"],
            status=wire["status"],
            stdout=wire["stdout"],
            stderr=wire["stderr"],
            result=result,
            error=ExecutionFailure(**_known(ExecutionFailure, error)) if error else None,
            tests=[TestResult.from_wire(t) for t in wire["tests"]],
            reward=wire["reward"],
            outputs=list(wire["outputs"]),
            receipt=Receipt(**_known(Receipt, wire["receipt"])),
            result_repr=wire["result_repr"],
            result_source=wire["result_source"],
            state_lost=wire["state_lost"],
            points=wire["points"],
            max_points=wire["max_points"],
            passed=wire["passed"],
            total=wire["total"],
            index=wire["index"],
            truncated=dict(wire["truncated"]),
            files=[FileChange.from_wire(f) for f in wire.get("files") or ()],
            files_truncated=wire.get("files_truncated", False),
            idempotent_replay=wire.get("idempotent_replay", False),
            raw=wire,
        )

    @property
    def ok(self) -> bool:
        """True when the code ran to its end."""
        return self.status == "ok"

    @property
    def done(self) -> bool:
        """True when it has ended, however it did."""
        return self.status not in ("queued", "running")

    @property
    def text(self) -> str:
        """What a model should read: output, displays, results and the error, in
        order, cut to :data:`TEXT_LIMIT` characters in the middle."""
        parts = []
        for output in self.outputs:
            data = output["data"]
            if isinstance(data, str):
                parts.append(data if data.endswith("\n") else data + "\n")
            else:
                kinds = ", ".join(sorted(data))
                parts.append(str(data.get("text/plain", f"[{kinds}]")) + "\n")
        text = "".join(parts)
        if len(text) <= TEXT_LIMIT:
            return text
        head, tail = TEXT_LIMIT * 3 // 4, TEXT_LIMIT // 4
        cut = len(text) - head - tail
        return f"{text[:head]}\n[… {cut} characters left out …]\n{text[-tail:]}"

    @property
    def images(self) -> list[bytes]:
        """The PNG and JPEG images that were shown, in order."""
        found = []
        for output in self.outputs:
            data = output["data"]
            if isinstance(data, dict):
                for kind in ("image/png", "image/jpeg"):
                    if isinstance(data.get(kind), str):
                        found.append(base64.b64decode(data[kind]))
        return found

    def __repr__(self) -> str:
        shown = [f"id={self.id!r}", f"status={self.status!r}"]
        if self.result is not None:
            shown.append(f"result={reprlib.repr(self.result)}")
        if self.error is not None:
            shown.append(f"error={self.error.name}: {reprlib.repr(self.error.value)}")
        if self.stdout:
            shown.append(f"stdout={reprlib.repr(self.stdout)}")
        if self.reward is not None:
            shown.append(f"reward={self.reward}")
        return f"Execution({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """What a notebook shows; see :mod:`tci._display`."""
        return html_of(self)

    def _repr_png_(self) -> Optional[bytes]:
        """The first PNG that was shown; None: there is none."""
        return png_of(self)

    def raise_for_error(self) -> Execution:
        """Raises :class:`ExecutionError` unless the code ran to its end."""
        if not self.ok:
            raise ExecutionError(str(self.error or f"the execution ended as {self.status}"))
        return self


@dataclass(frozen=True)
class File:
    """A downloaded file; ``name`` is the path as the caller gave it."""

    name: str
    content: bytes

    @property
    def text(self) -> str:
        """The content as UTF-8 text."""
        return self.content.decode("utf-8")


@dataclass(frozen=True)
class FileInfo:
    """An entry of a workspace; ``type`` is file, directory, symlink or other."""

    path: str
    name: str
    size: int
    type: str
    mode: str
    modified_at: str

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> FileInfo:
        """Makes an entry from the daemon's JSON object."""
        return cls(**_known(cls, wire))


def _known(cls: Any, wire: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that cls has: newer daemons may send more."""
    names = cls.__dataclass_fields__
    return {key: value for key, value in wire.items() if key in names}
