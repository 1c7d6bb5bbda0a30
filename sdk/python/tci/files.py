"""Files of sessions."""

from __future__ import annotations

import builtins
import io
from typing import Optional, Union

from ._transport import HEARTBEAT_TIMEOUT, Transport, segment
from ._wire import text
from .models import File, FileInfo

#: Bytes, text (sent as UTF-8), or a file opened for reading bytes.
Content = Union[bytes, bytearray, memoryview, str, io.BufferedIOBase, io.RawIOBase]


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
        body: Union[bytes, io.BufferedIOBase, io.RawIOBase]
        if isinstance(content, str):
            body = content.encode("utf-8")
        elif isinstance(content, (bytes, bytearray, memoryview)):
            body = bytes(content)
        elif hasattr(content, "read") and not isinstance(content, io.TextIOBase):
            # http.client would send text as Latin-1.
            body = content
        else:
            raise TypeError(
                f"content must be bytes, str or a file opened for bytes, not {type(content).__name__}"
            )
        headers = {"Content-Type": "application/octet-stream"}
        if not overwrite:
            headers["If-None-Match"] = "*"
        query = {"mode": f"{mode:04o}"} if mode is not None else None
        path = self._path(session_id, remote_path)
        self._transport.request("PUT", path, body, headers=headers, query=query, wait=HEARTBEAT_TIMEOUT)
        return True

    def download(self, session_id: str, remote_path: str) -> File:
        """Reads a file. ``name`` of the result is ``remote_path`` as given.

        Raises:
            RemoteFileNotFound: there is no such file (a FileNotFoundError).
            SessionNotFound: there is no such session (a ValueError).
        """
        content, _ = self._transport.request(
            "GET", self._path(session_id, remote_path), wait=HEARTBEAT_TIMEOUT
        )
        return File(name=remote_path, content=content)

    def list(self, session_id: str, path: str = "", *, recursive: bool = False) -> builtins.list[FileInfo]:
        """Lists a directory, sorted by path."""
        query = {}
        if path:
            query["path"] = path
        if recursive:
            query["recursive"] = "true"
        base = f"/v1/sessions/{segment(text('session_id', session_id))}/files"
        answer = self._transport.json("GET", base, query=query)
        return [FileInfo.from_wire(wire) for wire in answer["data"]]

    def delete(self, session_id: str, remote_path: str, *, recursive: bool = False) -> bool:
        """Removes a file, or with ``recursive`` a directory. Returns True."""
        query = {"recursive": "true"} if recursive else None
        self._transport.json("DELETE", self._path(session_id, remote_path), query=query)
        return True

    def _path(self, session_id: str, remote_path: str) -> str:
        # A leading slash is kept, in a form that survives: the daemon knows
        # absolute paths below the workspace.
        root = "%2F" if text("remote_path", remote_path).startswith("/") else ""
        # Slashes that stand together are one, as in a file system.
        segments = [s for s in remote_path.split("/") if s]
        if segments and remote_path.endswith("/"):
            segments.append("")
        session = segment(text("session_id", session_id))
        return f"/v1/sessions/{session}/files/{root}" + "/".join(segment(s) for s in segments)
