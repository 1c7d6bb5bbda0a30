"""Plays the conformance cases against a running daemon.

    TCI_BASE_URL=unix:///run/tcid/tcid.sock PYTHONPATH=sdk/python \\
        python3 sdk/python/tests/conformance.py [WORD …]

Words choose the cases whose names contain one of them. The file of cases and
its patterns are described in test/conformance/README.md. The exit status is 0
when all cases passed, 1 when one failed, 2 when they can't be run.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import re
import sys
from typing import Any, Callable

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
#: fields of an execution that are objects themselves
PARTS = ("error", "receipt")


class Mismatch(Exception):
    """A step did not do what it should."""


class Case:
    """One case and the sessions that it has made."""

    def __init__(self, client: tci.TCIClient, case: dict[str, Any]) -> None:
        self.client = client
        self.steps = case["steps"]
        self.sessions: dict[str, str] = {}
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

    def op_create(self, step: dict[str, Any]) -> Any:
        name, options = step.pop("session", "s"), step.pop("options", {})
        language = {"language": step.pop("language")} if "language" in step else {}
        session = self.client.sessions.create(**language, **options)
        self.sessions[name] = session.id
        self.made.append(session.id)
        return {**session.raw, "id": session.id, "language": session.language}

    def op_restart(self, step: dict[str, Any]) -> Any:
        return self.client.sessions.restart(self.session(step)).raw

    def op_run(self, step: dict[str, Any]) -> Any:
        session_id = self.session(step)
        code, tests, options = step.pop("code"), step.pop("tests", None), step.pop("options", {})
        return shown(self.client.executions.run(session_id, code, tests, **options))

    def op_run_once(self, step: dict[str, Any]) -> Any:
        code, tests, options = step.pop("code"), step.pop("tests", None), step.pop("options", {})
        return shown(self.client.run(code, tests, **options, **prefixed(step.pop("session_options", {}))))

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
        if field.name in answer and field.name not in ("tests", "raw"):
            value: Any = getattr(execution, field.name)
            answer[field.name] = dataclasses.asdict(value) if field.name in PARTS and value else value
    answer["tests"] = [
        {**wire, **dataclasses.asdict(test)} for wire, test in zip(execution.raw["tests"], execution.tests)
    ]
    answer.update(ok=execution.ok, text=execution.text, images=len(execution.images))
    return answer


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


def main(words: list[str]) -> int:
    """Plays the chosen cases and returns the exit status."""
    cases = json.loads(CASES.read_text("utf-8"))
    if cases["version"] != 1:
        print(f"conformance: {CASES} has version {cases['version']}; this runner knows 1", file=sys.stderr)
        return 2
    chosen = [c for c in cases["cases"] if not words or any(word in c["name"] for word in words)]
    if not chosen:
        print("conformance: no case has such a name", file=sys.stderr)
        return 2
    failed = 0
    with tci.TCIClient() as client:
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
