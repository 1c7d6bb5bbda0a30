"""One program by itself, without a client in sight."""

from __future__ import annotations

import threading
from typing import Any, Optional, Sequence

from ._specs import TestInput
from .client import TCIClient
from .models import Execution
from .streams import ExecutionStream

_lock = threading.Lock()
_client: Optional[TCIClient] = None


def _default() -> TCIClient:
    global _client
    with _lock:
        if _client is None:
            _client = TCIClient()
        return _client


def run(code: str, tests: Optional[Sequence[TestInput]] = None, **options: Any) -> Execution:
    """Runs code in a session of its own, by a client with the default settings,
    which all calls share; see :meth:`TCIClient.run`."""
    return _default().run(code, tests, **options)


def stream(
    code: str, tests: Optional[Sequence[TestInput]] = None, *, detach: bool = False, **options: Any
) -> ExecutionStream:
    """Runs code in a session of its own and gives its events as they come, by a
    client with the default settings, which all calls share; see
    :meth:`TCIClient.stream`."""
    return _default().stream(code, tests, detach=detach, **options)
