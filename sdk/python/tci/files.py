"""Files of sessions."""

from __future__ import annotations

import builtins
from typing import Optional

from . import _calls
from ._calls import Content
from ._transport import Transport
from .models import File, FileInfo


class Files:
    """``client.files``. Paths are relative to the session's workspace;
    ``/workspace/x`` and ``/x`` both mean the file ``x`` in it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self,
        session_id: str,
        remote_path: str,
        content: Content,
        *,
        mode: Optional[int] = None,
        overwrite: bool = True,
    ) -> bool:
        """Writes a file, whole or not at all; its directories are made.

        Args:
            mode: permission bits, such as ``0o755``.
            overwrite: False refuses to replace a file (ConflictError).

        Returns:
            True.

        Raises:
            SessionNotFound: there is no such session.
            InvalidRequestError: the path leads outside, or there is no space.
        """
        self._transport.send(_calls.upload(session_id, remote_path, content, mode, overwrite))
        return True

    def download(self, session_id: str, remote_path: str) -> File:
        """Reads a file. ``name`` of the result is ``remote_path`` as given.

        Raises:
            RemoteFileNotFound: there is no such file (a FileNotFoundError).
            SessionNotFound: there is no such session (a ValueError).
        """
        content = self._transport.send(_calls.download(session_id, remote_path))
        return File(name=remote_path, content=content)

    def list(self, session_id: str, path: str = "", *, recursive: bool = False) -> builtins.list[FileInfo]:
        """Lists a directory, sorted by path."""
        return self._transport.send(_calls.list_files(session_id, path, recursive))

    def delete(self, session_id: str, remote_path: str, *, recursive: bool = False) -> bool:
        """Removes a file, or with ``recursive`` a directory. Returns True."""
        self._transport.send(_calls.delete_file(session_id, remote_path, recursive))
        return True
