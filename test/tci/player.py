"""Plays a case through one client."""

from __future__ import annotations

import concurrent.futures
import datetime
import os
import pathlib
import time
from typing import Any, Protocol

import checks
from patterns import Mismatch, fit
from runner import Runner, RunnerError

RAW = "raw"
#: Seconds within which a request reaches the daemon, however busy the machine is.
ARRIVES = 60
#: arguments of an execution that the clients know by these names
ARGUMENTS = {"code", "language", "session_id", "files", "path", "headers", "after"}
#: keys of a step that are no arguments
FRAME = {"session", "key", "via"}
#: kind of error -> what it is in each client: the class of an exception, or the status
KINDS: dict[str, dict[str, Any]] = {
    "invalid_request": {
        RAW: 400,
        "together-1": "InvalidRequestError",
        "together-2": "BadRequestError",
        "together-ai": "BadRequestError",
    },
    "authentication": {
        RAW: 401,
        "together-1": "AuthenticationError",
        "together-2": "AuthenticationError",
        "together-ai": "AuthenticationError",
    },
    "not_found": {
        RAW: 404,
        "together-1": "InvalidRequestError",
        "together-2": "NotFoundError",
        "together-ai": "NotFoundError",
    },
    # The client sends nothing, since it sees the mistake itself.
    "client_side": {"together-1": "ValueError"},
    # The client can't make an object of the answer.
    "model": {"together-1": "ValidationError"},
}


class Arena(Protocol):
    """What a player needs of the driver."""

    def runner(self, client: str, options: dict[str, Any]) -> Runner: ...

    def key(self, client: str, name: str) -> str: ...

    def resident_mib(self, options: dict[str, Any]) -> float: ...

    def saw_error(self, client: str, case: str, problem: str | None) -> None: ...


class Player:
    """One case in one client, with the sessions that it has made."""

    def __init__(self, arena: Arena, client: str, case: dict[str, Any]) -> None:
        self.arena = arena
        self.client = client
        self.name: str = case["name"]
        self.steps = case["steps"]
        self.options: dict[str, Any] = case.get("daemon", {})
        self.sessions: dict[str, str] = {}
        self.made: set[tuple[str, str]] = set()
        self.saved: dict[str, Any] = {}

    def play(self) -> None:
        """Plays all steps; raises Mismatch."""
        try:
            for number, step in enumerate(self.steps):
                self.place(number, step)
        finally:
            self.close()

    def close(self) -> None:
        """Ends the sessions, which the clients can't."""
        for session_id, key in self.made:
            try:
                self.arena.runner(RAW, self.options).call("close", key, {"session_id": session_id})
            except RunnerError:
                pass  # expired meanwhile

    def place(self, number: int, step: dict[str, Any]) -> None:
        """Plays a step; the Mismatch says where it is."""
        step = dict(step)
        for key, value in step.pop("in", {}).get(self.client, {}).items():
            step.pop(key, None)
            if value is not None:
                step[key] = value
        if self.client not in step.pop("only", [self.client]):
            return
        op, within = step.pop("op"), step.pop("within", None)
        operation = getattr(self, "op_" + op, None)
        start = time.monotonic()
        try:
            if operation is None:
                raise Mismatch("the operation is not known")
            self.compare(operation, step)
            took = time.monotonic() - start
            if within is not None and took > within:
                raise Mismatch(f"it took {took:.1f} s, wanted {within} s")
        except Mismatch as problem:
            raise Mismatch(f"step {number} ({op}): {problem}") from None

    def compare(self, operation: Any, step: dict[str, Any]) -> None:
        """Compares an answer with what the step expects."""
        expected = {k: step.pop(k) for k in ("expect", "expect_failed", "expect_error") if k in step}
        if len(expected) > 1:
            raise Mismatch(f"only one of {sorted(expected)} can be")
        save = step.pop("save", {})
        try:
            kind, answer = operation(step)
        except RunnerError as error:
            self.note(error.about)
            if "expect_error" not in expected:
                raise Mismatch(f"refused: {error}") from None
            self.check_error(expected["expect_error"], error)
            return
        if kind != "expect" and kind not in expected:
            raise Mismatch(f"the request failed: {answer!r:.500}")
        if expected and kind not in expected:
            raise Mismatch(f"wanted {expected!r:.300}, got {answer!r:.500}")
        if expected:
            fit(expected[kind], answer, "", self.saved)
        for name, path in save.items():
            value = answer
            for part in path.split("."):
                value = value[part]
            self.saved[name] = value

    def note(self, about: dict[str, Any]) -> None:
        """Looks at the body of an answer that is an error."""
        if about.get("status") is None:
            return
        problem = None
        try:
            checks.check_error_body(about, self.client == RAW)
        except Mismatch as mismatch:
            problem = f"status {about['status']}: {mismatch}"
        self.arena.saw_error(self.client, self.name, problem)

    def check_error(self, wanted: dict[str, Any], error: RunnerError) -> None:
        wanted = dict(wanted)
        kind = KINDS[wanted.pop("kind")][self.client]
        about = error.about
        if isinstance(kind, int):
            if about.get("status") != kind:
                raise Mismatch(f"wanted the status {kind}, got {error}")
        elif kind not in about.get("classes", []):
            raise Mismatch(f"wanted {kind}, got {error}")
        body = about.get("body")
        inner = body.get("error") if isinstance(body, dict) else None
        seen = {**(inner if isinstance(inner, dict) else {}), "status": about.get("status")}
        fit(wanted, seen, "the error", self.saved)

    def call(self, op: str, step: dict[str, Any], args: dict[str, Any]) -> Any:
        """Plays an operation through the client, or the one that the step names."""
        client = step.pop("via", self.client)
        key = self.key(step)
        if set(step) - FRAME:
            raise Mismatch(f"the keys {sorted(set(step) - FRAME)} are not known")
        # The client's own key comes from its environment.
        own = client == self.client and key == self.arena.key(client, "own")
        return self.arena.runner(client, self.options).call(op, None if own else key, args)

    def key(self, step: dict[str, Any]) -> str:
        return self.arena.key(self.client, step.get("key", "own"))

    def arguments(self, step: dict[str, Any]) -> dict[str, Any]:
        """Takes the arguments of an execution out of a step."""
        args = {name: step.pop(name) for name in ARGUMENTS & set(step)}
        if isinstance(args.get("code"), list):
            args["code"] = "\n".join(args["code"])
        args.setdefault("language", "python")
        if args["language"] is None:
            del args["language"]
        name = step.get("session", "s")
        if "session_id" not in args and name in self.sessions:
            args["session_id"] = self.sessions[name]
        return args

    def op_execute(self, step: dict[str, Any]) -> tuple[str, Any]:
        args = self.arguments(step)
        name, key = step.get("session", "s"), self.key(step)
        answer = self.call("execute", step, args)
        if isinstance(answer["body"], dict) and answer["body"].get("data", 0) is None:
            return "expect_failed", checks.check_failed(answer)
        data = checks.check_success(answer, args.get("session_id"))
        self.sessions.setdefault(name, data["session_id"])
        self.made.add((data["session_id"], key))
        return "expect", data

    def op_disconnect(self, step: dict[str, Any]) -> tuple[str, Any]:
        args = self.arguments(step)
        return "expect", self.call("disconnect", step, args)

    def op_parallel(self, step: dict[str, Any]) -> tuple[str, Any]:
        steps, in_turn = step.pop("steps"), step.pop("in_turn", False)
        with concurrent.futures.ThreadPoolExecutor(len(steps)) as pool:
            futures = []
            sent = self.sent() if in_turn else 0
            for number, part in enumerate(steps):
                futures.append(pool.submit(self.place, number, part))
                deadline = time.monotonic() + ARRIVES
                while in_turn and self.sent() <= sent + number:
                    checks.want(time.monotonic() < deadline, f"step {number} did not arrive in {ARRIVES} s")
                    time.sleep(0.05)
        for future in futures:
            future.result()
        return "expect", None

    def sent(self) -> int:
        """How many executions the daemon has taken for the case's session."""
        sessions = self.call("list_sessions", {"via": RAW}, {})["body"]["data"]["sessions"]
        return sum(s["execute_count"] for s in sessions if s["id"] == self.sessions.get("s"))

    def op_list_sessions(self, step: dict[str, Any]) -> tuple[str, Any]:
        name = step.get("session", "s")
        wire = RAW in (self.client, step.get("via"))
        answer = self.call("list_sessions", step, {})
        body = answer["body"]
        checks.want(isinstance(body, dict) and body.get("errors") is None, f"the body is {body!r:.300}")
        if wire:
            checks.want(set(body) == {"errors", "data"}, f"the body has the keys {sorted(body)}")
            checks.check_headers(answer["http"])
        sessions = body["data"]["sessions"]
        entry = next((s for s in sessions if s["id"] == self.sessions.get(name)), None)
        shown: dict[str, Any] = {"count": len(sessions), "entry": entry}
        if entry is not None:
            fields = {"id", "execute_count", "started_at", "last_execute_at", "expires_at"}
            checks.want(set(entry) == fields, f"the entry has the fields {sorted(entry)}")
            start, last, end = (moment(entry[k]) for k in ("started_at", "last_execute_at", "expires_at"))
            shown["lifetime"] = (end - start).total_seconds()
            shown["used_for"] = (last - start).total_seconds()
        return "expect", shown

    def op_request(self, step: dict[str, Any]) -> tuple[str, Any]:
        names = {"method", "path", "body", "headers", "fill"} & set(step)
        answer = self.call("request", step, {name: step.pop(name) for name in names})
        if not 200 <= answer["status"] < 300:
            self.note(answer)
        return "expect", answer

    def op_sleep(self, step: dict[str, Any]) -> tuple[str, Any]:
        time.sleep(step.pop("seconds"))
        return "expect", None

    def op_daemon_memory(self, step: dict[str, Any]) -> tuple[str, Any]:
        return "expect", {"resident_mib": self.arena.resident_mib(self.options)}

    def op_host_lacks(self, step: dict[str, Any]) -> tuple[str, Any]:
        for path in step.pop("paths"):
            if os.path.lexists(pathlib.Path(path)):
                raise Mismatch(f"{path} is there on the host")
        return "expect", None


def moment(text: str) -> datetime.datetime:
    """Reads a time of RFC 3339."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
