"""What the runners in Python share: JSON lines on stdin and stdout.

A runner says who it is in its first line. Every line after that answers one
line of stdin, in any order:

    {"id": 1, "op": "execute", "key": null, "args": {…}}
    {"id": 1, "answer": {"body": {…}, …}}
    {"id": 1, "error": {"classes": ["BadRequestError", …], "status": 400, …}}
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any, Callable

#: op -> what it does with the key (None: the one of the environment) and the arguments
Operations = dict[str, Callable[[Any, dict[str, Any]], Any]]


class Refusal(Exception):
    """An answer that is an error, with what is known about it."""

    def __init__(self, **about: Any) -> None:
        super().__init__(about.get("message"))
        self.about = about


def serve(client: str, operations: Operations, lacks: str | None = None) -> None:
    """Plays until stdin ends. With lacks, the client can't play at all."""
    # Nothing else may write to the pipe: one client prints a banner.
    pipe = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    lock = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        with lock:
            pipe.write(json.dumps(message) + "\n")
            pipe.flush()

    def play(request: dict[str, Any]) -> None:
        try:
            answer = operations[request["op"]](request["key"], request["args"])
        except Refusal as refusal:
            say({"id": request["id"], "error": refusal.about})
        except Exception as problem:
            say({"id": request["id"], "error": {"classes": classes(problem), "message": str(problem)}})
        else:
            say({"id": request["id"], "answer": answer})

    say({"client": client, "lacks": lacks})
    for line in sys.stdin:
        threading.Thread(target=play, args=(json.loads(line),), daemon=True).start()


def classes(problem: Exception) -> list[str]:
    """The names of the classes of an exception, its own one first."""
    return [c.__name__ for c in type(problem).__mro__ if c not in (Exception, BaseException, object)]
