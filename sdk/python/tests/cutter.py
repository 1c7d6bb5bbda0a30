"""A way to the daemon that breaks: connections through it end when told."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from typing import Iterator, Optional


class Cutter:
    """A Unix socket that leads to another one.

    Attributes:
        base_url: where clients reach it.
        cuts: for each connection in turn, after how many bytes of answers it
            ends; None, and all further ones: never.
        connections: how many there were.
    """

    def __init__(self, target: str, path: str, cuts: list[Optional[int]]) -> None:
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.base_url = "unix://" + path
        self.cuts = cuts
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut_all(self) -> int:
        """Ends all connections and returns their number."""
        with self._lock:
            ends = list(self._open)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        return len(ends)

    def close(self) -> None:
        """Ends all connections and takes no further ones."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect(self._target)
            limit = self.cuts.pop(0) if self.cuts else None
            with self._lock:
                self.connections += 1
                self._open.add(client)
            for ends in ((client, daemon, None), (daemon, client, limit)):
                threading.Thread(target=self._copy, args=(*ends, client), daemon=True).start()

    def _copy(
        self, source: socket.socket, sink: socket.socket, limit: Optional[int], client: socket.socket
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if limit is not None:
                    piece, limit = piece[:limit], limit - len(piece)
                sink.sendall(piece)
                if limit is not None and limit <= 0:
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            if client in self._open:
                self._open.remove(client)
                return
        source.close()
        sink.close()


@contextlib.contextmanager
def cutter(base_url: str, *cuts: Optional[int]) -> Iterator[Cutter]:
    """Makes a breaking way to a daemon on a Unix socket."""
    with tempfile.TemporaryDirectory() as directory:
        made = Cutter(base_url[len("unix://") :], os.path.join(directory, "s"), list(cuts))
        try:
            yield made
        finally:
            made.close()
