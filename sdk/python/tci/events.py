"""What a stream of an execution gives: one class for each type of event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Mapping, Optional, Union

from .models import Execution, TestResult


@dataclass(frozen=True)
class BaseEvent:
    """What all events have.

    Attributes:
        seq: its number; the events of an execution count from 1 without gaps.
            It is what ``resume`` takes as ``after``.
        time: when the daemon got to know of it, RFC 3339 in UTC.
        type: the daemon's word for the kind, the same for all of a class.
    """

    type: ClassVar[str] = ""

    seq: int
    time: str


@dataclass(frozen=True)
class StartedEvent(BaseEvent):
    """The execution has left the queue."""

    type: ClassVar[str] = "started"

    execution_id: str
    session_id: str


@dataclass(frozen=True)
class StdoutEvent(BaseEvent):
    """A piece of standard output. Pieces end anywhere, not only at lines."""

    type: ClassVar[str] = "stdout"

    text: str


@dataclass(frozen=True)
class StderrEvent(BaseEvent):
    """A piece of standard error."""

    type: ClassVar[str] = "stderr"

    text: str


@dataclass(frozen=True)
class DisplayDataEvent(BaseEvent):
    """Something was displayed.

    Attributes:
        data: dict of MIME type to value; binary types are base64.
        metadata: dict of what belongs to ``data``.
        display_id: its name, where it can be updated, else ``None``.
    """

    type: ClassVar[str] = "display_data"

    data: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    display_id: Optional[str] = None


@dataclass(frozen=True)
class UpdateDisplayDataEvent(BaseEvent):
    """``data`` takes the place of what was displayed as ``display_id``."""

    type: ClassVar[str] = "update_display_data"

    data: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    display_id: Optional[str] = None


@dataclass(frozen=True)
class ExecuteResultEvent(BaseEvent):
    """The value of the last expression, as it is displayed; see
    :class:`DisplayDataEvent`."""

    type: ClassVar[str] = "execute_result"

    data: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    display_id: Optional[str] = None


@dataclass(frozen=True)
class ClearOutputEvent(BaseEvent):
    """What was shown is to go; with ``wait`` only when more comes."""

    type: ClassVar[str] = "clear_output"

    wait: bool = False


@dataclass(frozen=True)
class ErrorEvent(BaseEvent):
    """Why the execution does not end ``ok``.

    Attributes:
        name: the exception's class, or ``TimeoutError``, ``KernelDied``, …
        value: its text.
        traceback: pieces of one or more lines.
    """

    type: ClassVar[str] = "error"

    name: str
    value: str
    traceback: list[str]


@dataclass(frozen=True)
class TestEvent(BaseEvent):
    """The verdict of one test, as soon as it is there."""

    __test__ = False  # not a test case for pytest

    type: ClassVar[str] = "test"

    test: TestResult


@dataclass(frozen=True)
class TruncatedEvent(BaseEvent):
    """The ``events`` up to this one's ``seq`` are no longer kept: the reader was
    too slow, or came too late. :attr:`FinishedEvent.execution` has the output."""

    type: ClassVar[str] = "truncated"

    events: int


@dataclass(frozen=True)
class FinishedEvent(BaseEvent):
    """The last event of every stream."""

    type: ClassVar[str] = "finished"

    execution: Execution


@dataclass(frozen=True)
class OtherEvent(BaseEvent):
    """An event of a kind that this version does not know.

    Attributes:
        kind: the daemon's word for it.
        raw: the whole event.
    """

    type: ClassVar[str] = "other"

    kind: str
    raw: Mapping[str, Any]


Event = Union[
    StartedEvent,
    StdoutEvent,
    StderrEvent,
    DisplayDataEvent,
    UpdateDisplayDataEvent,
    ExecuteResultEvent,
    ClearOutputEvent,
    ErrorEvent,
    TestEvent,
    TruncatedEvent,
    FinishedEvent,
    OtherEvent,
]


def event_from_wire(wire: Mapping[str, Any]) -> Event:
    """Makes an event from a line of a stream, which is no keepalive.

    Raises:
        KeyError, TypeError: it lacks what its type has.
    """
    seq, time, kind = wire["seq"], wire.get("time", ""), wire["type"]
    if kind == "stdout":
        return StdoutEvent(seq, time, wire.get("text", ""))
    if kind == "stderr":
        return StderrEvent(seq, time, wire.get("text", ""))
    if kind == "started":
        return StartedEvent(seq, time, wire.get("execution_id", ""), wire.get("session_id", ""))
    if kind == "error":
        return ErrorEvent(
            seq, time, wire.get("name", ""), wire.get("value", ""), list(wire.get("traceback") or ())
        )
    if kind == "clear_output":
        return ClearOutputEvent(seq, time, bool(wire.get("wait", False)))
    if kind == "test":
        return TestEvent(seq, time, TestResult.from_wire(wire["test"]))
    if kind == "truncated":
        return TruncatedEvent(seq, time, wire["events"])
    if kind == "finished":
        return FinishedEvent(seq, time, Execution.from_wire(wire["execution"]))
    shown = (seq, time, wire.get("data") or {}, wire.get("metadata") or {}, wire.get("display_id"))
    if kind == "display_data":
        return DisplayDataEvent(*shown)
    if kind == "execute_result":
        return ExecuteResultEvent(*shown)
    if kind == "update_display_data":
        return UpdateDisplayDataEvent(*shown)
    return OtherEvent(seq, time, kind, wire)
