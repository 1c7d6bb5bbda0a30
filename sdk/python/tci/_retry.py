"""When a request is sent again, and when never."""

from __future__ import annotations

import random
import time
from typing import Optional

from .errors import ConnectionFailed, TCIError

#: How many times a request is sent again when nobody says otherwise.
DEFAULT_MAX_RETRIES = 5
#: Seconds after the first failure within which the last try begins.
MAX_RETRY_SECONDS = 60.0
#: Seconds before the second try; each further pause is twice as long. Short, so
#: that an execution whose client is gone is not cancelled meanwhile, and so that
#: a daemon that restarts is seen to be away.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


class Retries:
    """Decides about the tries of one request.

    Args:
        limit: the most tries after the first.
        again: whether the request may be sent again though the daemon may have
            carried it out.
        keyed: it carries an Idempotency-Key, so that only a daemon which has
            forgotten the key would carry it out twice.
    """

    def __init__(self, limit: int, *, again: bool = True, keyed: bool = False) -> None:
        self._limit = limit
        self._again = again
        self._keyed = keyed
        self._count = 0
        self._since: Optional[float] = None
        self._sent = False

    def progressed(self) -> None:
        """Something came of it: the count starts anew."""
        self._count = 0
        self._since = None

    def pause(self, error: TCIError) -> Optional[float]:
        """Seconds to wait before the next try; None: there is none."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if self._count >= self._limit or not self._allowed(error):
            return None
        pause = min(FIRST_PAUSE * (1 << self._count), LONGEST_PAUSE) * random.uniform(0.75, 1.25)
        pause = max(pause, error.retry_after if error.retry_after is not None else 0.0)
        if now + pause > self._since + MAX_RETRY_SECONDS:
            return None
        self._count += 1
        return pause

    def _allowed(self, error: TCIError) -> bool:
        if not isinstance(error, ConnectionFailed):
            # The daemon's word that nothing was started.
            return error.may_retry
        if not error.sent:
            # A daemon that has gone since then may have taken what it knew of
            # the key with it, and the next one would run the code again.
            return error.may_retry and not (self._sent and self._keyed)
        self._sent = True
        return error.may_retry and self._again
