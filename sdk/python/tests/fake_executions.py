"""The routes of executions as the API describes them, for connections that break
where each test says."""

from __future__ import annotations

import json
import threading
import urllib.parse
from typing import Any, Optional, Union

from fake_daemon import EXECUTION, Answer, Request, refusal

#: What becomes of a request: "drop" closes the connection before anything was
#: started, "hang up" after it; a number cuts the answer's body off after so many
#: bytes; an answer is given in place of anything else; None: all is well.
Fate = Union[None, int, str, Answer]

TIME = "2026-01-31T12:00:00Z"


def script(pieces: int = 5, first_missing: int = 0) -> list[dict[str, Any]]:
    """The events of an execution that prints so many pieces."""
    texts = [f"{i} ü\n" for i in range(pieces)]
    events: list[dict[str, Any]] = [
        {"type": "started", "execution_id": "exe_1", "session_id": "ses_1"},
        *({"type": "stdout", "text": text} for text in texts),
        {"type": "stderr", "text": "e"},
        {"type": "display_data", "data": {"text/plain": "d"}, "display_id": "x"},
        {"type": "update_display_data", "data": {"text/plain": "u"}, "display_id": "x"},
        {"type": "clear_output", "wait": True},
        {"type": "execute_result", "data": {"text/plain": "7"}, "metadata": {"a": 1}},
        {"type": "error", "name": "E", "value": "v", "traceback": ["t"]},
        {"type": "test", "test": {"name": "n", "passed": True, "reward": 1, "new": 0}},
        {"type": "new_kind", "more": 1},
        {"type": "finished", "execution": {**EXECUTION, "stdout": "".join(texts)}},
    ]
    return [{"seq": i, "time": TIME, **event} for i, event in enumerate(events, 1)]


class Executions:
    """Answers of a daemon with one session. Every request but plain GETs takes
    the next of ``fates``.

    Attributes:
        ran: the code that was really started, in order.
        kept_from: the number of the first event that is still kept.
    """

    def __init__(self, *fates: Fate, events: Optional[list[dict[str, Any]]] = None) -> None:
        self.events = script() if events is None else events
        self.ran: list[str] = []
        self.kept_from = 1
        self.fates = list(fates)
        self._keys: dict[str, tuple[bytes, str]] = {}
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        path, _, query = request.target.partition("?")
        if request.method == "POST":
            return self._post(request)
        if path.endswith("/events"):
            after = int(urllib.parse.parse_qs(query)["after"][0])
            return self._fated(lambda: self._stream(path.split("/")[3], after))
        return Answer(self._execution(path.split("/")[3]))

    def _fated(self, answer: Any) -> Answer:
        with self._lock:
            fate = self.fates.pop(0) if self.fates else None
            if isinstance(fate, Answer):
                return fate
            if fate == "drop":
                return Answer(hang_up=True)
            given: Answer = answer()
        if fate == "hang up":
            return Answer(hang_up=True)
        if isinstance(fate, int):
            if given.lines is None:
                given.cut = True
            given.cut_after = fate
            given.close_after = True
        return given

    def _post(self, request: Request) -> Answer:
        def answer() -> Answer:
            key = request.headers["Idempotency-Key"]
            if key not in self._keys:
                self.ran.append(request.json()["code"])
                self._keys[key] = (request.body, f"exe_{len(self.ran)}")
            body, execution_id = self._keys[key]
            if body != request.body:
                return refusal(409, "idempotency_key_reused")
            spec = request.json()
            if spec.get("stream"):
                return self._stream(execution_id, 0)
            status = 202 if spec.get("detach") else 200
            return Answer(self._execution(execution_id), status, {"X-Execution-Id": execution_id})

        return self._fated(answer)

    def _execution(self, execution_id: str) -> dict[str, Any]:
        return {**self.events[-1]["execution"], "id": execution_id}

    def _stream(self, execution_id: str, after: int) -> Answer:
        lines: list[dict[str, Any]] = [{"type": "keepalive", "time": TIME}]
        if after + 1 < self.kept_from:
            missing = self.kept_from - 1
            lines.append({"seq": missing, "type": "truncated", "time": TIME, "events": missing - after})
            after = missing
        lines += [event for event in self.events if event["seq"] > after]
        return Answer(
            lines=[json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines],
            headers={"X-Execution-Id": execution_id},
        )
