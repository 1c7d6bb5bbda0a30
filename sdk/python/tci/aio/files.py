"""Files of sessions, for asyncio."""

from __future__ import annotations

import builtins
from typing import Optional

from .. import _calls
from .._calls import Content
from ..models import File, FileInfo
from .transport import AsyncTransport


class AsyncFiles:
    """``client.files``; see :class:`Files` for arguments and errors."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def upload(
        self,
        session_id: str,
        remote_path: str,
        content: Content,
        *,
        mode: Optional[int] = None,
        overwrite: bool = True,
    ) -> bool:
        """Writes a file, whole or not at all. Returns True. A file opened for
        reading bytes is read in another thread."""
        await self._transport.send(_calls.upload(session_id, remote_path, content, mode, overwrite))
        return True

    async def download(self, session_id: str, remote_path: str) -> File:
        """Reads a file. ``name`` of the result is ``remote_path`` as given."""
        content = await self._transport.send(_calls.download(session_id, remote_path))
        return File(name=remote_path, content=content)

    async def list(
        self, session_id: str, path: str = "", *, recursive: bool = False
    ) -> builtins.list[FileInfo]:
        """Lists a directory, sorted by path."""
        return await self._transport.send(_calls.list_files(session_id, path, recursive))

    async def delete(self, session_id: str, remote_path: str, *, recursive: bool = False) -> bool:
        """Removes a file, or with ``recursive`` a directory. Returns True."""
        await self._transport.send(_calls.delete_file(session_id, remote_path, recursive))
        return True
