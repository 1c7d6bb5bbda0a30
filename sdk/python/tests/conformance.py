"""Plays the conformance cases against a running daemon.

    TCI_BASE_URL=unix:///run/tcid/tcid.sock PYTHONPATH=sdk/python \\
        python3 sdk/python/tests/conformance.py [--client sync|async] [WORD …]

Words choose the cases whose names contain one of them. ``--client async`` plays
them with the asyncio client, which needs httpx. The file of cases and
its patterns are described in test/conformance/README.md. The exit status is 0
when all cases passed, 1 when one failed, 2 when they can't be run.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import dataclasses
import inspect
import json
import pathlib
import re
import sys
import time
import uuid
from typing import Any, Callable, Iterator

import tci

CASES = pathlib.Path(__file__).resolve().parents[3] / "test" / "conformance" / "cases.json"
NEAR = 1e-9

#: kind of error -> the class that it must be, and the built-in one
KINDS: dict[str, tuple[type[Exception], type[Exception]]] = {
    "session_not_found": (tci.SessionNotFound, ValueError),
    "file_not_found": (tci.RemoteFileNotFound, FileNotFoundError),
    "not_found": (tci.NotFoundError, tci.TCIError),
    "invalid_request": (tci.InvalidRequestError, ValueError),
    "conflict": (tci.ConflictError, tci.TCIError),
}
#: Seconds for an execution that nobody listens to to end, in op poll.
POLL_SECONDS = 30.0
#: fields of an execution that are objects themselves
PARTS = ("error", "receipt")


class Mismatch(Exception):
    """A step did not do what it should."""


class Case:
    """One case and the sessions that it has made."""

    def __init__(self, client: Any, case: dict[str, Any]) -> None:
        self.client = client
        self.steps = case["steps"]
        self.sessions: dict[str, str] = {}
        self.executions: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.made: list[str] = []

    def play(self) -> None:
        """Plays all steps; raises Mismatch."""
        try:
            for number, step in enumerate(self.steps):
                try:
                    self.step(dict(step))
                except Mismatch as problem:
                    raise Mismatch(f"step {number} ({step['op']}): {problem}") from None
        finally:
            for session_id in self.made:
                self.client.sessions.close(session_id)

    def step(self, step: dict[str, Any]) -> None:
        op = step.pop("op")
        wanted = "expect" in step
        expect, refusal = step.pop("expect", None), step.pop("expect_error", None)
        operation: Callable[[dict[str, Any]], Any] | None = getattr(self, "op_" + op, None)
        if operation is None:
            raise Mismatch("this runner does not know the operation")
        try:
            answer = operation(step)
        except (tci.TCIError, TypeError, ValueError) as error:
            if refusal is None:
                raise Mismatch(f"raised {error!r}") from error
            check_error(refusal, error)
            return
        if step:
            raise Mismatch(f"this runner does not know the keys {sorted(step)}")
        if refusal is not None:
            raise Mismatch(f"wanted the error {refusal}, got {answer!r:.500}")
        if wanted:
            fit(expect, answer, "")

    def session(self, step: dict[str, Any]) -> str:
        if "session_id" in step:
            return str(step.pop("session_id"))
        return self.sessions[step.pop("session", "s")]

    def execution(self, step: dict[str, Any]) -> str:
        if "execution_id" in step:
            return str(step.pop("execution_id"))
        return self.executions[step.pop("execution", "e")]

    def options(self, step: dict[str, Any]) -> dict[str, Any]:
        """The options of a step as the client takes them, with its key."""
        options = dict(step.pop("options", {}))
        if "stdin_base64" in options:
            options["stdin"] = base64.b64decode(options.pop("stdin_base64"))
        if "key" in step:
            options["idempotency_key"] = self.keys.setdefault(step.pop("key"), uuid.uuid4().hex)
        return options

    def noted(self, step: dict[str, Any], execution: tci.Execution) -> dict[str, Any]:
        self.executions[step.pop("execution", "e")] = execution.id
        return shown(execution)

    def op_create(self, step: dict[str, Any]) -> Any:
        name, options = step.pop("session", "s"), self.options(step)
        language = {"language": step.pop("language")} if "language" in step else {}
        session = self.client.sessions.create(**language, **options)
        self.sessions[name] = session.id
        self.made.append(session.id)
        return {**session.raw, "id": session.id, "language": session.language}

    def op_restart(self, step: dict[str, Any]) -> Any:
        return self.client.sessions.restart(self.session(step)).raw

    def op_run(self, step: dict[str, Any]) -> Any:
        session_id = self.session(step)
        code, tests, options = step.pop("code"), step.pop("tests", None), self.options(step)
        return self.noted(step, self.client.executions.run(session_id, code, tests, **options))

    def op_run_once(self, step: dict[str, Any]) -> Any:
        code, tests, options = step.pop("code"), step.pop("tests", None), self.options(step)
        options.update(prefixed(step.pop("session_options", {})))
        return self.noted(step, self.client.run(code, tests, **options))

    def op_start(self, step: dict[str, Any]) -> Any:
        session_id = self.session(step)
        code, tests, options = step.pop("code"), step.pop("tests", None), self.options(step)
        return self.noted(step, self.client.executions.start(session_id, code, tests, **options))

    def op_start_once(self, step: dict[str, Any]) -> Any:
        code, tests, options = step.pop("code"), step.pop("tests", None), self.options(step)
        options.update(prefixed(step.pop("session_options", {})))
        return self.noted(step, self.client.start(code, tests, **options))

    def op_stream(self, step: dict[str, Any]) -> Any:
        session_id, detach = self.session(step), step.pop("detach", False)
        code, tests, options = step.pop("code"), step.pop("tests", None), self.options(step)
        stream = self.client.executions.stream(session_id, code, tests, detach=detach, **options)
        self.executions[step.pop("execution", "e")] = stream.execution_id
        return streamed(stream, 0, step.pop("leave_after", None))

    def op_stream_once(self, step: dict[str, Any]) -> Any:
        detach = step.pop("detach", False)
        code, tests, options = step.pop("code"), step.pop("tests", None), self.options(step)
        options.update(prefixed(step.pop("session_options", {})))
        stream = self.client.stream(code, tests, detach=detach, **options)
        self.executions[step.pop("execution", "e")] = stream.execution_id
        return streamed(stream, 0, step.pop("leave_after", None))

    def op_resume(self, step: dict[str, Any]) -> Any:
        execution_id, after = self.execution(step), step.pop("after", 0)
        stream = self.client.executions.resume(execution_id, after)
        return streamed(stream, after, step.pop("leave_after", None))

    def op_get(self, step: dict[str, Any]) -> Any:
        return shown(self.client.executions.get(self.execution(step)))

    def op_wait(self, step: dict[str, Any]) -> Any:
        return shown(self.client.executions.wait(self.execution(step)))

    def op_poll(self, step: dict[str, Any]) -> Any:
        execution_id, end = self.execution(step), time.monotonic() + POLL_SECONDS
        while not (execution := self.client.executions.get(execution_id)).done:
            if time.monotonic() > end:
                raise Mismatch(f"the execution has not ended after {POLL_SECONDS} s")
            time.sleep(0.1)
        return shown(execution)

    def op_cancel(self, step: dict[str, Any]) -> Any:
        return shown(self.client.executions.cancel(self.execution(step)))

    def op_executions(self, step: dict[str, Any]) -> Any:
        return [shown(execution) for execution in self.client.executions.list(self.session(step))]

    def op_interrupt(self, step: dict[str, Any]) -> Any:
        return self.client.sessions.interrupt(self.session(step)).raw

    def op_complete(self, step: dict[str, Any]) -> Any:
        session_id, code = self.session(step), step.pop("code")
        return dataclasses.asdict(self.client.sessions.complete(session_id, code, step.pop("cursor", None)))

    def op_is_complete(self, step: dict[str, Any]) -> Any:
        return dataclasses.asdict(self.client.sessions.is_complete(self.session(step), step.pop("code")))

    def op_upload(self, step: dict[str, Any]) -> Any:
        session_id = self.session(step)
        if "content" in step:
            return self.client.files.upload(session_id, step.pop("path"), step.pop("content"))
        return self.client.files.upload(
            session_id, step.pop("path"), base64.b64decode(step.pop("content_base64"))
        )

    def op_download(self, step: dict[str, Any]) -> Any:
        file = self.client.files.download(self.session(step), step.pop("path"))
        try:
            text: str | None = file.content.decode("utf-8")
        except UnicodeDecodeError:
            text = None
        return {"name": file.name, "content": text, "content_base64": base64.b64encode(file.content).decode()}

    def op_list(self, step: dict[str, Any]) -> Any:
        entries = self.client.files.list(
            self.session(step), step.pop("path", ""), recursive=step.pop("recursive", False)
        )
        return [dataclasses.asdict(entry) for entry in entries]

    def op_delete(self, step: dict[str, Any]) -> Any:
        return self.client.files.delete(
            self.session(step), step.pop("path"), recursive=step.pop("recursive", False)
        )

    def op_close(self, step: dict[str, Any]) -> Any:
        return self.client.sessions.close(self.session(step))


def prefixed(options: dict[str, Any]) -> dict[str, Any]:
    """Session options for the one-shot call. Some have the names of arguments
    of the execution there, and no case may mean those."""
    clash = {"env", "cwd", "files"} & set(options)
    if clash:
        raise Mismatch(f"the Python client has no session option {sorted(clash)} in its one-shot call")
    return options


def shown(execution: tci.Execution) -> dict[str, Any]:
    """An execution as the client shows it; fields that it has no attribute for
    as the daemon sent them."""
    answer = dict(execution.raw)
    for field in dataclasses.fields(execution):
        if field.name in answer and field.name not in ("tests", "files", "raw"):
            value: Any = getattr(execution, field.name)
            answer[field.name] = dataclasses.asdict(value) if field.name in PARTS and value else value
    answer["files"] = [dataclasses.asdict(change) for change in execution.files]
    answer["tests"] = [
        {**wire, **dataclasses.asdict(test)} for wire, test in zip(execution.raw["tests"], execution.tests)
    ]
    answer.update(ok=execution.ok, done=execution.done, text=execution.text, images=len(execution.images))
    return answer


def streamed(stream: Any, after: int, leave_after: str | None) -> dict[str, Any]:
    """Reads a stream, to its end or to the first event of a type."""
    events: list[dict[str, Any]] = []
    with stream:
        for event in stream:
            answer = told(event)
            if event.seq != after + answer.get("events", 1):
                raise Mismatch(f"event {event.seq} ({event.type}) follows event {after}")
            after = event.seq
            last = events[-1] if events else {}
            if event.type in ("stdout", "stderr") and last.get("type") == event.type:
                last["text"] += event.text
            else:
                events.append(answer)
            if event.type == leave_after:
                break
        else:
            if leave_after is not None:
                raise Mismatch(f"there was no event {leave_after!r} in {events!r:.500}")
    execution = shown(stream.execution) if stream.execution is not None else None
    return {"id": stream.execution_id, "events": events, "execution": execution}


def told(event: Any) -> dict[str, Any]:
    """An event as the client shows it, without its number and time."""
    if isinstance(event, tci.FinishedEvent):
        return {"type": event.type, "execution": shown(event.execution)}
    fields = {k: v for k, v in dataclasses.asdict(event).items() if k not in ("seq", "time")}
    return {"type": event.type, **fields}


class Blocking:
    """The asyncio client, or a part of it, whose calls are waited for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thing: Any) -> None:
        self._loop = loop
        self._thing = thing

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._thing, name)
        if not callable(value):
            parts = ("sessions", "executions", "files")
            return Blocking(self._loop, value) if name in parts else value

        def call(*args: Any, **options: Any) -> Any:
            answer = value(*args, **options)
            if inspect.isawaitable(answer):
                answer = self._loop.run_until_complete(answer)
            return Blocking(self._loop, answer) if isinstance(answer, tci.AsyncExecutionStream) else answer

        return call

    def __iter__(self) -> Iterator[Any]:
        while True:
            try:
                yield self._loop.run_until_complete(self._thing.__anext__())
            except StopAsyncIteration:
                return

    def __enter__(self) -> Blocking:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._thing.close())


def check_error(refusal: dict[str, Any], error: Exception) -> None:
    """Raises Mismatch unless the error is the one that was wanted."""
    unknown = set(refusal) - {"kind", "code", "status", "param"}
    if unknown:
        raise Mismatch(f"this runner does not know the keys {sorted(unknown)} of expect_error")
    for kind in KINDS[refusal["kind"]]:
        if not isinstance(error, kind):
            raise Mismatch(f"wanted {kind.__name__}, got {error!r}")
    if refusal["kind"] == "not_found" and isinstance(error, (tci.SessionNotFound, tci.RemoteFileNotFound)):
        raise Mismatch(f"wanted NotFoundError itself, got {error!r}")
    for name in ("code", "status", "param"):
        if name in refusal and getattr(error, name) != refusal[name]:
            raise Mismatch(f"{name} is {getattr(error, name)!r}, wanted {refusal[name]!r}")


def fit(pattern: Any, value: Any, where: str) -> None:
    """Raises Mismatch unless the value fits the pattern."""

    def fail(wanted: str) -> Mismatch:
        return Mismatch(f"{where or 'the answer'} is {value!r:.500}, wanted {wanted:.500}")

    if isinstance(pattern, dict):
        if any(key.startswith("$") for key in pattern):
            ((word, operand),) = pattern.items()
            if not special(word, operand, value):
                raise fail(f"{word} {operand!r}")
            return
        if not isinstance(value, dict):
            raise fail(f"an object with {sorted(pattern)}")
        for key, part in pattern.items():
            if key not in value:
                raise Mismatch(f"{where or 'the answer'} has no {key!r}")
            fit(part, value[key], f"{where}.{key}".lstrip("."))
    elif isinstance(pattern, list):
        if not isinstance(value, list) or len(value) != len(pattern):
            raise fail(f"{len(pattern)} items")
        for i, part in enumerate(pattern):
            fit(part, value[i], f"{where}[{i}]")
    elif not same(pattern, value):
        raise fail(repr(pattern))


def special(word: str, operand: Any, value: Any) -> bool:
    """Applies a pattern with a ``$``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if word == "$equal":
        return same(operand, value)
    if word == "$contains":
        return any(
            isinstance(v, str) and operand in v for v in (value if isinstance(value, list) else [value])
        )
    if word == "$match":
        return isinstance(value, str) and re.search(operand, value) is not None
    if word == "$near":
        return number and abs(value - operand) < NEAR
    if word == "$above":
        return number and value > operand
    raise Mismatch(f"this runner does not know {word}")


def same(a: Any, b: Any) -> bool:
    """Equality of JSON values: in Python itself, True equals 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def main(arguments: list[str]) -> int:
    """Plays the chosen cases and returns the exit status."""
    parser = argparse.ArgumentParser(description="Plays the conformance cases.")
    parser.add_argument("--client", choices=("sync", "async"), default="sync")
    parser.add_argument("words", nargs="*", metavar="WORD")
    parsed = parser.parse_args(arguments)
    words = parsed.words
    cases = json.loads(CASES.read_text("utf-8"))
    if cases["version"] != 1:
        print(f"conformance: {CASES} has version {cases['version']}; this runner knows 1", file=sys.stderr)
        return 2
    chosen = [c for c in cases["cases"] if not words or any(word in c["name"] for word in words)]
    if not chosen:
        print("conformance: no case has such a name", file=sys.stderr)
        return 2
    failed = 0
    made: Any = (
        tci.TCIClient()
        if parsed.client == "sync"
        else Blocking(asyncio.new_event_loop(), tci.AsyncTCIClient())
    )
    with made as client:
        try:
            client.version()
        except tci.TCIError as error:
            print(f"conformance: {error}", file=sys.stderr)
            return 2
        for case in chosen:
            try:
                Case(client, case).play()
            except Exception as problem:
                # A broken case must not hide the ones after it.
                failed += 1
                text = str(problem) if isinstance(problem, Mismatch) else repr(problem)
                print(f"FAIL {case['name']}: {text}")
            else:
                print(f"ok   {case['name']}")
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
