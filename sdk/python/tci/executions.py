"""Executions: code run in a session, or in one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence

from . import _calls
from ._calls import Call
from ._progress import Progress
from ._specs import ExecOptions, Stdin, TestInput
from ._transport import Transport
from ._wire import FileInput
from .errors import ConnectionFailed, EventsGone
from .models import Execution
from .streams import ExecutionStream

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Executions:
    """``client.executions``.

    Whatever runs code is safe to be tried again by the client: its requests carry
    an ``Idempotency-Key``, and an execution that has begun is listened to again,
    never run again.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def run(
        self,
        session_id: str,
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
    ) -> Execution:
        """Runs code in a session and returns when it has ended, however it did:
        code that fails raises nothing here; look at ``.ok`` and ``.error``.

        Args:
            tests: conditions over the session's names, evaluated afterwards.
            timeout: the execution's limit in seconds. The connection waits by
                itself for as long as the daemon shows signs of life.
            stdin: what the code reads, text or bytes; without it, end of file.
            env, cwd: for this execution only.
            files: name to content, written before the code runs.
            grading: how points become the reward: ``weighted`` (default),
                ``sum``, ``all_or_nothing`` or ``fraction``.
            max_output_bytes: how much of stdout and stderr is kept.
            idempotency_key: see :class:`ExecOptions`.

        Raises:
            SessionNotFound: there is no such session.
            InvalidRequestError: an argument is wrong.
            CapacityError: too many executions wait already, also after all retries.
            ConnectionFailed: there is no daemon, or it went away.
        """
        options = {
            "timeout": timeout,
            "stdin": stdin,
            "env": env,
            "cwd": cwd,
            "files": files,
            "grading": grading,
            "max_output_bytes": max_output_bytes,
            "idempotency_key": idempotency_key,
        }
        return self._run(_calls.execute(session_id, code, tests, options))

    def run_once(
        self,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        session: Optional[Mapping[str, Any]] = None,
        **options: Unpack[ExecOptions],
    ) -> Execution:
        """Runs code in a session that is made for it and closed after it.
        ``session`` holds options of :meth:`Sessions.create`; for the others and
        what is raised see :meth:`run`."""
        return self._run(_calls.execute_once(code, tests, options, session))

    def _run(self, call: Call[Execution]) -> Execution:
        return self._sent(call, self.wait)

    def _start(self, call: Call[Execution]) -> Execution:
        return self._sent(call, self.get)

    def _sent(self, call: Call[Execution], look: Callable[[str], Execution]) -> Execution:
        """Sends a request that runs code, and looks for the execution where the
        answer broke off behind its id."""
        try:
            return self._transport.send(call)
        except ConnectionFailed as error:
            if error.execution_id is None:
                raise
            return look(error.execution_id)

    def stream(
        self,
        session_id: str,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        detach: bool = False,
        **options: Unpack[ExecOptions],
    ) -> ExecutionStream:
        """Runs code in a session and returns its events as they come, as soon as
        the execution is accepted.

        Args:
            detach: the execution goes on when the stream is left.
            tests, options: as for :meth:`run`.

        Raises:
            TCIError: as :meth:`run`. The stream itself: StreamBroken.
        """
        return self._stream(_calls.execute(session_id, code, tests, options, stream=True, detach=detach))

    def stream_once(
        self,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        session: Optional[Mapping[str, Any]] = None,
        detach: bool = False,
        **options: Unpack[ExecOptions],
    ) -> ExecutionStream:
        """As :meth:`stream`, in a session that is made for it and closed after it."""
        return self._stream(_calls.execute_once(code, tests, options, session, stream=True, detach=detach))

    def _stream(self, call: Call[Execution]) -> ExecutionStream:
        return ExecutionStream(self._transport, Progress(self._transport.max_retries, call))

    def start(
        self,
        session_id: str,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        **options: Unpack[ExecOptions],
    ) -> Execution:
        """Starts code in a session and returns at once, with an execution that is
        ``queued`` or ``running``. It goes on whether or not anybody listens:
        :meth:`wait`, :meth:`resume`, :meth:`get` and :meth:`cancel` take its
        ``id``, also in another program. Arguments and errors: as for :meth:`run`."""
        return self._start(_calls.execute(session_id, code, tests, options, detach=True))

    def start_once(
        self,
        code: str,
        tests: Optional[Sequence[TestInput]] = None,
        *,
        session: Optional[Mapping[str, Any]] = None,
        **options: Unpack[ExecOptions],
    ) -> Execution:
        """As :meth:`start`, in a session that is made for it and closed after it."""
        return self._start(_calls.execute_once(code, tests, options, session, detach=True))

    def resume(self, execution_id: str, after: int = 0) -> ExecutionStream:
        """Listens to an execution, while it is queued or runs and for ten minutes
        after its end.

        Args:
            after: the ``seq`` of the last event that is known already; 0 begins
                with the first.

        Raises:
            NotFoundError: there is no such execution, or it is forgotten.
            EventsGone: its events are no longer kept.
        """
        progress = Progress(self._transport.max_retries, None, execution_id, after)
        return ExecutionStream(self._transport, progress)

    def wait(self, execution_id: str) -> Execution:
        """Returns an execution when it has ended, however it did.

        Raises:
            NotFoundError: there is no such execution, or it is forgotten.
            StreamBroken: the daemon went away meanwhile.
        """
        execution = self.get(execution_id)
        if execution.done:
            return execution
        try:
            progress = Progress(self._transport.max_retries, None, execution_id, events=False)
            with ExecutionStream(self._transport, progress) as stream:
                return stream.result()
        except EventsGone:
            return self.get(execution_id)

    def get(self, execution_id: str) -> Execution:
        """Returns an execution, also while it runs. Raises NotFoundError."""
        return self._transport.send(_calls.get_execution(execution_id))

    def cancel(self, execution_id: str) -> Execution:
        """Ends an execution and returns what became of it: a queued one never
        starts, a running one gets SIGINT and, when that doesn't help, loses its
        interpreter. A finished one stays as it is. Raises NotFoundError."""
        return self._transport.send(_calls.cancel_execution(execution_id))

    def list(self, session_id: str) -> list[Execution]:
        """Lists what is still known of a session's executions, in their order."""
        return self._transport.send(_calls.list_executions(session_id))
