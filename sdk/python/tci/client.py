"""The client."""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional, Sequence

from . import _calls
from ._address import DEFAULT_TIMEOUT, default_base_url
from ._retry import DEFAULT_MAX_RETRIES
from ._specs import Stdin, TestInput, split
from ._transport import Transport
from ._wire import FileInput, count, number
from .executions import Executions
from .files import Files
from .models import Execution
from .sessions import Sessions
from .streams import ExecutionStream


class TCIClient:
    """A client of one daemon. It may be used from several threads.

    Args:
        api_key: needed for TCP; default ``$TCI_API_KEY``. On the Unix socket
            the daemon knows its callers by their user id and ignores it.
        base_url: ``unix:///path/to/tcid.sock`` or ``http://host:port``; default
            ``$TCI_BASE_URL``, else the system's socket, else the user's, else
            ``http://127.0.0.1:8787``.
        timeout: seconds to connect and to wait for short answers. How long
            code may run is the ``timeout`` of each run.
        max_retries: how many times in a row a request is sent again, or a broken
            stream taken up again, within a minute at most; 0: never. It is done
            where a connection broke and where the daemon said to try again later
            (429, 503), and never in a way that could run code twice.

    Attributes:
        sessions, executions, files: the calls, by what they are about.
    """

    def __init__(
        self,
        api_key: Optional[str] = None,
        base_url: Optional[str] = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
    ) -> None:
        if number("timeout", timeout) == 0:
            raise ValueError("timeout must be above 0")
        if api_key is None:
            api_key = os.environ.get("TCI_API_KEY")
        retries = count("max_retries", max_retries)
        self._transport = Transport(base_url or default_base_url(), api_key, timeout, retries)
        self.executions = Executions(self._transport)
        self.files = Files(self._transport)
        self.sessions = Sessions(self._transport, self.executions, self.files)

    @property
    def base_url(self) -> str:
        """Where the daemon is."""
        return self._transport.base_url

    def run(
        self,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        timeout: Optional[float] = None,
        stdin: Optional[Stdin] = None,
        env: Optional[Mapping[str, str]] = None,
        cwd: Optional[str] = None,
        files: Optional[FileInput] = None,
        grading: Optional[str] = None,
        max_output_bytes: Optional[int] = None,
        idempotency_key: Optional[str] = None,
        **session: Any,
    ) -> Execution:
        """Runs code in a session of its own; further arguments are options of
        :meth:`Sessions.create`."""
        return self.executions.run_once(
            code,
            tests,
            timeout=timeout,
            stdin=stdin,
            env=env,
            cwd=cwd,
            files=files,
            grading=grading,
            max_output_bytes=max_output_bytes,
            idempotency_key=idempotency_key,
            session=session,
        )

    def stream(
        self,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        detach: bool = False,
        **options: Any,
    ) -> ExecutionStream:
        """Runs code in a session of its own and gives its events as they come.
        Options are those of :meth:`run`; see :meth:`Executions.stream`."""
        mine, session = split(options)
        return self.executions.stream_once(code, tests, session=session, detach=detach, **mine)

    def start(self, code: str, tests: Optional[Sequence[TestInput]] = None, **options: Any) -> Execution:
        """Starts code in a session of its own and does not wait for it. Options
        are those of :meth:`run`; see :meth:`Executions.start`."""
        mine, session = split(options)
        return self.executions.start_once(code, tests, session=session, **mine)

    def version(self) -> dict[str, Any]:
        """The daemon's version, what it enforces, and its limits."""
        answer: dict[str, Any] = self._transport.send(_calls.get("/v1/version"))
        return answer

    def images(self) -> list[dict[str, Any]]:
        """The images that sessions can be made from."""
        answer: list[dict[str, Any]] = self._transport.send(_calls.get("/v1/images"))["data"]
        return answer

    def close(self) -> None:
        """Closes idle connections; sessions stay."""
        self._transport.close()

    def __enter__(self) -> TCIClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
