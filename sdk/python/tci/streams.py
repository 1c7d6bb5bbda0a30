"""The events of an execution as they come."""

from __future__ import annotations

import time
from typing import Callable, Iterator, Optional

from . import _calls
from ._progress import Progress
from ._transport import Answer, Transport
from .errors import TCIError
from .events import Event
from .models import Execution


class ExecutionStream:
    """An iterator over the events of an execution: each once, in order, the
    :class:`FinishedEvent` last.

    When the connection breaks, the stream goes on by itself behind the last
    event that arrived, ``max_retries`` times in a row. Then it raises
    :class:`StreamBroken`, as it does when the daemon no longer has the execution.

    It is a context manager. Leaving it before the end, or :meth:`close`, closes
    the connection; then the daemon ends the execution a few seconds later, unless
    it was sent with ``detach`` or somebody else listens to it.

    >>> with session.stream("for i in range(3): print(i)") as stream:
    ...     for event in stream:
    ...         if event.type == "stdout":
    ...             print(event.text, end="")
    >>> stream.execution.status
    'ok'

    It is for one thread at a time.
    """

    def __init__(self, transport: Transport, progress: Progress) -> None:
        self._transport = transport
        self._progress = progress
        self._answer: Optional[Answer] = None
        self._closed = False
        self._seq = progress.seq
        while self._answer is None:
            self._try(self._open)

    @property
    def execution(self) -> Optional[Execution]:
        """The execution once it has ended and its last event has been read."""
        return None if self._progress.ready else self._progress.execution

    @property
    def execution_id(self) -> str:
        """The execution's id, from the beginning on."""
        return self._progress.execution_id or ""

    @property
    def seq(self) -> int:
        """The number of the last event that was read, which ``resume`` takes as
        ``after``; 0: none."""
        return self._seq

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        progress = self._progress
        while not progress.ready:
            if progress.execution is not None or self._closed:
                raise StopIteration
            self._try(self._open if self._answer is None else self._receive)
        event = progress.ready.popleft()
        self._seq = event.seq
        return event

    def result(self) -> Execution:
        """Reads what is left and returns the execution."""
        for _ in self:
            pass
        if self._progress.execution is None:
            raise ValueError(f"the stream was closed before execution {self.execution_id} had ended")
        return self._progress.execution

    def close(self) -> None:
        """Closes the connection. What was received can still be read."""
        self._closed = True
        self._drop()

    def __enter__(self) -> ExecutionStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ExecutionStream(execution_id={self.execution_id!r}, seq={self.seq})"

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except TCIError as error:
            self._drop()
            time.sleep(self._progress.failed(error))
        except BaseException:
            self._drop()
            raise

    def _open(self) -> None:
        self._answer = self._transport.open(self._progress.call)
        self._progress.opened(self._answer.headers)

    def _receive(self) -> None:
        assert self._answer is not None
        data = self._answer.read1()
        if not data and self._progress.may_be_over:
            self._progress.over(self._transport.send(_calls.get_execution(self.execution_id)))
        else:
            self._progress.feed(data)
        if self._progress.execution is not None:
            answer, self._answer = self._answer, None
            answer.finish()

    def _drop(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None
