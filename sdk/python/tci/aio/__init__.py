"""The asyncio client, which needs httpx: ``pip install 'httpx>=0.28'``.

It has the names and shapes of the other one. What is a call there is awaited
here, and streams are read by ``async for``.
"""

from .client import AsyncTCIClient
from .sessions import AsyncSession
from .streams import AsyncExecutionStream

__all__ = ["AsyncExecutionStream", "AsyncSession", "AsyncTCIClient"]
