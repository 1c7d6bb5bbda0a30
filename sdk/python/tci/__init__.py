"""Run Python in isolated sessions of a tcid daemon.

>>> from tci import TCIClient
>>> tci = TCIClient()
>>> with tci.sessions.create() as session:
...     session.run("1 + 1").result
2
"""

from .client import TCIClient
from .errors import (
    AuthenticationError,
    CapacityError,
    ConflictError,
    ConnectionFailed,
    ExecutionError,
    InfraError,
    InvalidRequestError,
    NotFoundError,
    RemoteFileNotFound,
    SessionNotFound,
    TCIError,
)
from .models import Execution, ExecutionFailure, File, FileInfo, Receipt, TestResult
from .sessions import Session

__all__ = [
    "AuthenticationError",
    "CapacityError",
    "ConflictError",
    "ConnectionFailed",
    "Execution",
    "ExecutionError",
    "ExecutionFailure",
    "File",
    "FileInfo",
    "InfraError",
    "InvalidRequestError",
    "NotFoundError",
    "Receipt",
    "RemoteFileNotFound",
    "Session",
    "SessionNotFound",
    "TCIClient",
    "TCIError",
    "TestResult",
]

__version__ = "0.1.0"
