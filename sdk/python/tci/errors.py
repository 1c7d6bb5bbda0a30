"""Exceptions of the SDK. User code that fails raises none of them."""

from __future__ import annotations

import json
from typing import Optional, Protocol


class TCIError(Exception):
    """A request was refused or failed.

    Attributes:
        status: HTTP status, or 0 when there was no answer.
        code: what went wrong, such as ``"session_not_found"``, or ``None``.
        param: the field at fault, or ``None``.
        request_id: names the request in the daemon's log, or ``None``.
        retry_after: seconds after which the daemon said to try again, or ``None``.
        may_retry: whether the same request may be sent again as it is. The client
            has done so already, ``max_retries`` times.
    """

    retry_after: Optional[float] = None
    may_retry: bool = False

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: Optional[str] = None,
        param: Optional[str] = None,
        request_id: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.request_id = request_id

    def __str__(self) -> str:
        return self.message


class InvalidRequestError(TCIError, ValueError):
    """The request is wrong; ``param`` names the field where one is at fault."""


class AuthenticationError(TCIError):
    """The API key is missing or wrong, or the caller may not do this."""


class NotFoundError(TCIError, ValueError):
    """An execution or image does not exist."""


class SessionNotFound(NotFoundError):
    """The session does not exist, has ended, or is somebody else's."""


class RemoteFileNotFound(TCIError, FileNotFoundError):
    """The session has no such file."""


class ConflictError(TCIError):
    """Not possible in the present state, such as overwriting where that was
    forbidden."""


class CapacityError(TCIError):
    """No capacity now; nothing was started. ``retry_after`` is the number of
    seconds after which it makes sense to try again."""

    retry_after: Optional[float] = 1.0


class EventsGone(TCIError):
    """The events of an execution are no longer kept; the execution itself still
    may be."""


class InfraError(TCIError):
    """The daemon or its host failed; nothing is said about the code."""


class StreamBroken(InfraError):
    """A stream of events broke and could not be taken up again.

    The execution may have gone on: ``client.executions.get(execution_id)`` tells.

    Attributes:
        execution_id: the execution.
        seq: the number of the last event that arrived; 0: none.
    """

    def __init__(self, message: str, execution_id: str, seq: int) -> None:
        super().__init__(message)
        self.execution_id = execution_id
        self.seq = seq


class ConnectionFailed(TCIError, ConnectionError):
    """The daemon can't be reached, or the connection broke.

    Attributes:
        sent: whether the daemon may have got the request.
        execution_id: the execution that the request had started, where the
            daemon had told its id by then.
    """

    def __init__(
        self,
        message: str,
        *,
        sent: bool = True,
        may_retry: bool = True,
        execution_id: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.sent = sent
        self.may_retry = may_retry
        self.execution_id = execution_id


class ExecutionError(TCIError):
    """Raised by :meth:`Execution.raise_for_error` only."""


_BY_CODE = {
    "session_not_found": SessionNotFound,
    "file_not_found": RemoteFileNotFound,
    "image_not_found": NotFoundError,
    "execution_not_found": NotFoundError,
}


class Headers(Protocol):
    """Headers of an answer, whose names are found in any case."""

    def get(self, name: str, default: str, /) -> str:
        """The value of a header."""


#: Wrong keys that came too often: the same key is as wrong later.
_POINTLESS = ("too_many_failures",)


def error_for(status: int, headers: Headers, answer: bytes) -> TCIError:
    """Returns the exception for an answer outside 2xx."""
    message = f"the daemon answered with HTTP status {status}"
    code = param = None
    try:
        error = json.loads(answer)["error"]
        message, code, param = error["message"], error.get("code"), error.get("param")
    except (ValueError, KeyError, TypeError):
        pass
    made = _kind(status, code)(
        message, status=status, code=code, param=param, request_id=headers.get("X-Request-Id", "") or None
    )
    try:
        made.retry_after = float(headers.get("Retry-After", ""))
    except ValueError:
        return made
    obeyed = headers.get("X-Should-Retry", "").lower() != "false"
    made.may_retry = status in (429, 503) and obeyed and code not in _POINTLESS
    return made


def _kind(status: int, code: Optional[str]) -> type[TCIError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in (401, 403, 421):
        return AuthenticationError
    if status == 404:
        return NotFoundError
    if status == 410:
        return EventsGone
    if status in (409, 412):
        return ConflictError
    if status in (429, 503):
        return CapacityError
    if status >= 500 and status != 507:
        return InfraError
    return InvalidRequestError
