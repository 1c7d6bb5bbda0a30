"""Exceptions of the SDK. User code that fails raises none of them."""

from __future__ import annotations

from typing import Optional


class TCIError(Exception):
    """A request was refused or failed.

    Attributes:
        status: HTTP status, or 0 when there was no answer.
        code: what went wrong, such as ``"session_not_found"``, or ``None``.
        param: the field at fault, or ``None``.
        request_id: names the request in the daemon's log, or ``None``.
    """

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
    """No capacity now. ``retry_after`` is the number of seconds after which it
    makes sense to try again."""

    retry_after: float = 1.0


class InfraError(TCIError):
    """The daemon or its host failed; nothing is said about the code."""


class ConnectionFailed(TCIError, ConnectionError):
    """The daemon can't be reached, or the connection broke."""


class ExecutionError(TCIError):
    """Raised by :meth:`Execution.raise_for_error` only."""


_BY_CODE = {
    "session_not_found": SessionNotFound,
    "file_not_found": RemoteFileNotFound,
    "image_not_found": NotFoundError,
    "execution_not_found": NotFoundError,
}


def error_for(
    status: int,
    message: str,
    code: Optional[str],
    param: Optional[str],
    request_id: Optional[str],
    retry_after: Optional[float],
) -> TCIError:
    """Returns the exception for an answer outside 2xx."""
    kind: type[TCIError]
    if code in _BY_CODE:
        kind = _BY_CODE[code]
    elif status in (401, 403, 421):
        kind = AuthenticationError
    elif status == 404:
        kind = NotFoundError
    elif status in (409, 412):
        kind = ConflictError
    elif status in (429, 503):
        kind = CapacityError
    elif status >= 500 and status != 507:
        kind = InfraError
    else:
        kind = InvalidRequestError
    error = kind(message, status=status, code=code, param=param, request_id=request_id)
    if isinstance(error, CapacityError) and retry_after is not None:
        error.retry_after = retry_after
    return error
