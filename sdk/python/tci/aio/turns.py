"""Who may send to a session now."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import AsyncIterator, Optional
from weakref import WeakValueDictionary


class Turns:
    """A session runs its executions in the order in which the daemon accepts
    them. Requests by several connections overtake each other, so one is sent only
    when the one before was accepted; asyncio's locks are first come, first served.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, session_id: Optional[str]) -> AsyncIterator[None]:
        """Waits for the turn in a session; None is no session, and never waits."""
        if session_id is None:
            yield
            return
        lock = self._locks.get(session_id)
        if lock is None:
            lock = self._locks[session_id] = asyncio.Lock()
        async with lock:
            yield
