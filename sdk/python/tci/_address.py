"""Where the daemon is."""

from __future__ import annotations

import os
import ssl
import urllib.parse
from typing import Optional

from .errors import ConnectionFailed

#: Seconds to connect, and to wait for short answers.
DEFAULT_TIMEOUT = 30.0
_SYSTEM_SOCKET = "/run/tcid/tcid.sock"
_FALLBACK = "http://127.0.0.1:8787"


def default_base_url() -> str:
    """Where the daemon is when nobody says so: the system's socket, the
    user's, or TCP on loopback."""
    if url := os.environ.get("TCI_BASE_URL"):
        return url
    candidates = [_SYSTEM_SOCKET]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.append(os.path.join(runtime, "tcid", "tcid.sock"))
    for path in candidates:
        if os.path.exists(path):
            return "unix://" + path
    return _FALLBACK


class Address:
    """The parts of a base URL.

    Attributes:
        unix: the path of a Unix socket, or None; then host, port and tls hold.
        prefix: what comes before every path.
        reached: whether the daemon has answered there before.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.reached = False
        self.unix: Optional[str] = None
        self.host, self.tls, self.prefix = "localhost", False, ""
        self.port: Optional[int] = None
        parts = urllib.parse.urlsplit(base_url)
        if parts.scheme == "unix":
            self.unix = parts.path
            if not self.unix:
                raise ValueError(f"base_url {base_url!r} names no socket; write unix:///path/to/tcid.sock")
        elif parts.scheme in ("http", "https") and parts.hostname:
            self.host, self.tls = parts.hostname, parts.scheme == "https"
            self.port = parts.port
            self.prefix = parts.path.rstrip("/")
        else:
            raise ValueError(f"base_url {base_url!r} must begin with http://, https:// or unix://")

    def unreachable(self, error: BaseException, sent: bool = False) -> ConnectionFailed:
        """The error for a connection that can't be made. Where there never was a
        daemon, it makes no sense to wait for it."""
        if isinstance(error, PermissionError):
            return ConnectionFailed(
                f"you may not use the daemon at {self.base_url}: be root or a member of its group (tcid)",
                sent=sent,
                may_retry=False,
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return ConnectionFailed(
                f"the certificate of {self.base_url} is not trusted here ({error}); "
                "SSL_CERT_FILE can name one that is",
                sent=sent,
                may_retry=False,
            )
        if isinstance(error, ssl.SSLError):
            return ConnectionFailed(
                f"no TLS with {self.base_url} ({error}); a daemon without --tls-cert has an address of http://",
                sent=sent,
                may_retry=self.reached or sent,
            )
        return ConnectionFailed(
            f"there is no daemon at {self.base_url} ({error}); start one with: tcid serve",
            sent=sent,
            may_retry=self.reached or sent,
        )
