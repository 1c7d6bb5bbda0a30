"""Run Python in isolated sessions of a tcid daemon.

>>> from tci import TCIClient
>>> tci = TCIClient()
>>> with tci.sessions.create() as session:
...     session.run("1 + 1").result
2

For one program by itself, ``tci.run(code)`` and ``tci.stream(code)`` use a client
with the default settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._once import run, stream
from ._specs import ExecOptions
from .client import TCIClient
from .errors import (
    AuthenticationError,
    CapacityError,
    ConflictError,
    ConnectionFailed,
    EventsGone,
    ExecutionError,
    InfraError,
    InvalidRequestError,
    NotFoundError,
    RemoteFileNotFound,
    SessionNotFound,
    StreamBroken,
    TCIError,
)
from .events import (
    ClearOutputEvent,
    DisplayDataEvent,
    ErrorEvent,
    Event,
    ExecuteResultEvent,
    FinishedEvent,
    OtherEvent,
    StartedEvent,
    StderrEvent,
    StdoutEvent,
    TestEvent,
    TruncatedEvent,
    UpdateDisplayDataEvent,
)
from .models import (
    Completions,
    Execution,
    ExecutionFailure,
    File,
    FileChange,
    FileInfo,
    IsComplete,
    Receipt,
    TestResult,
)
from .sessions import Session
from .streams import ExecutionStream

if TYPE_CHECKING:
    from .aio import AsyncExecutionStream, AsyncSession, AsyncTCIClient

__all__ = [
    "AsyncExecutionStream",
    "AsyncSession",
    "AsyncTCIClient",
    "AuthenticationError",
    "CapacityError",
    "ClearOutputEvent",
    "Completions",
    "ConflictError",
    "ConnectionFailed",
    "DisplayDataEvent",
    "ErrorEvent",
    "Event",
    "EventsGone",
    "ExecOptions",
    "ExecuteResultEvent",
    "Execution",
    "ExecutionError",
    "ExecutionFailure",
    "ExecutionStream",
    "File",
    "FileChange",
    "FileInfo",
    "FinishedEvent",
    "InfraError",
    "InvalidRequestError",
    "IsComplete",
    "NotFoundError",
    "OtherEvent",
    "Receipt",
    "RemoteFileNotFound",
    "Session",
    "SessionNotFound",
    "StartedEvent",
    "StderrEvent",
    "StdoutEvent",
    "StreamBroken",
    "TCIClient",
    "TCIError",
    "TestEvent",
    "TestResult",
    "TruncatedEvent",
    "UpdateDisplayDataEvent",
    "run",
    "stream",
]

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    # Programs without async code should not wait for asyncio's import.
    if name in ("AsyncExecutionStream", "AsyncSession", "AsyncTCIClient"):
        from . import aio

        return getattr(aio, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
