"""How far a stream of events has come, and how it goes on after a break: what
both clients' streams share, without any input or output."""

from __future__ import annotations

from collections import deque
from typing import Any, Optional

from . import _calls
from ._calls import Call
from ._retry import Retries
from ._wire import decode
from .errors import ConnectionFailed, Headers, InfraError, StreamBroken, TCIError
from .events import Event, FinishedEvent, event_from_wire
from .models import Execution


class Progress:
    """A stream asks :attr:`call` what to send, tells what came of it by
    :meth:`opened`, :meth:`feed` and :meth:`failed`, and takes the events from
    :attr:`ready`: each once, in order.

    Args:
        max_retries: how many tries in a row may fail.
        first: the request that starts the execution; None: it is there already.
        execution_id, after: the execution, and the last event known of it.
        events: False keeps no event but the last.
    """

    def __init__(
        self,
        max_retries: int,
        first: Optional[Call[Execution]] = None,
        execution_id: Optional[str] = None,
        after: int = 0,
        *,
        events: bool = True,
    ) -> None:
        self.execution_id = execution_id
        self.seq = self._after = after
        self.execution: Optional[Execution] = None
        self.ready: deque[Event] = deque()
        self._first = first if first is not None else _calls.events(str(execution_id), after)
        self._retries = Retries(max_retries, again=True, keyed=self._first.key is not None)
        self._max_retries = max_retries
        self._events = events
        self._accepted = False
        self._rest: list[bytes] = []

    @property
    def call(self) -> Call[Any]:
        """What to send next."""
        if not self._accepted or self.execution_id is None:
            return self._first
        return _calls.events(self.execution_id, self.seq)

    def opened(self, headers: Headers) -> None:
        """An answer has begun."""
        self._rest = []
        if self._accepted:
            return
        self.execution_id = headers.get("X-Execution-Id", "") or self.execution_id
        self._accepted = True
        # From here on nothing is started any more, only listened to.
        self._retries = Retries(self._max_retries)

    @property
    def may_be_over(self) -> bool:
        """Whether a stream that ends at once is in order: what is behind the last
        event, which the caller knew already, is nothing."""
        return self._accepted and self._first.key is None and self.seq == self._after

    def over(self, execution: Execution) -> None:
        """Takes the execution of such a stream. Raises ConnectionFailed when it
        has not ended."""
        if not execution.done:
            raise ConnectionFailed("the stream ended before the execution was finished")
        self.execution = execution

    def feed(self, data: bytes) -> None:
        """Takes a piece of the answer; an empty one is its end.

        Raises:
            ConnectionFailed: the answer ended too early.
            InfraError: it is not what the API describes.
        """
        if not data and self.execution is None:
            raise ConnectionFailed("the stream ended before the execution was finished")
        first, *others = data.split(b"\n")
        self._rest.append(first)
        for other in others:
            line, self._rest = b"".join(self._rest), [other]
            if line.strip():
                self._take(decode(line))

    def failed(self, error: TCIError) -> float:
        """Returns how long to wait, in seconds, before :attr:`call` is sent.

        Raises:
            TCIError: the error itself, when nothing was started.
            StreamBroken: the stream can't go on.
        """
        if self._accepted and isinstance(error, ConnectionFailed):
            # Also when it was silent for too long: listening is always safe.
            error.may_retry = True
        pause = self._retries.pause(error)
        if pause is not None:
            return pause
        if not self._accepted or self.execution_id is None:
            raise error
        raise StreamBroken(
            f"the stream of execution {self.execution_id} broke after event {self.seq} and can't go on "
            f"({error}); executions.get({self.execution_id!r}) tells what became of it",
            self.execution_id,
            self.seq,
        ) from error

    def _take(self, wire: Any) -> None:
        if not isinstance(wire, dict) or "type" not in wire:
            raise InfraError(f"the daemon sent a line that is no event: {wire!r:.200}")
        seq = wire.get("seq")
        if seq is None:  # a keepalive
            return
        if seq <= self.seq or self.execution is not None:
            return
        missing = wire["type"] == "truncated"
        if seq != self.seq + 1 and not missing:
            raise InfraError(f"the daemon sent event {seq} after event {self.seq}")
        try:
            event = event_from_wire(wire) if self._events or wire["type"] == "finished" else None
        except (KeyError, TypeError) as error:
            raise InfraError(f"the daemon sent an event that lacks {error}") from error
        self.seq = seq
        if self.execution_id is None:
            self.execution_id = wire.get("execution_id")
        self._retries.progressed()
        if event is not None and self._events:
            self.ready.append(event)
        if isinstance(event, FinishedEvent):
            self.execution = event.execution
            self.execution_id = event.execution.id
