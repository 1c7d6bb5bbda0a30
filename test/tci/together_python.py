"""The runner with together, Together's client for Python, of any version.

The client is used as it comes, with its own timeouts and retries; address and
key come from the environment, as in its documentation.
"""

from __future__ import annotations

import importlib.metadata
import threading
from typing import Any

import stdio
import together

#: a client for each key; None is the key of the environment
clients: dict[str | None, Any] = {}
lock = threading.Lock()


def client(key: str | None) -> Any:
    with lock:
        if key not in clients:
            clients[key] = together.Together() if key is None else together.Together(api_key=key)
        return clients[key]


def shown(response: Any) -> dict[str, Any]:
    """What the client made of an answer; only what the daemon sent."""
    body = response.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {"body": body, "class": type(response).__name__}


def refused(problem: Exception) -> stdio.Refusal:
    """What the client's exception says about an answer that is an error."""
    about: dict[str, Any] = {"classes": stdio.classes(problem), "message": str(problem)}
    if hasattr(problem, "status_code"):  # 2.x
        about.update(status=problem.status_code, body=getattr(problem, "body", None))
    elif getattr(problem, "http_status", None):  # 1.x
        about["status"] = problem.http_status  # type: ignore[attr-defined]
        if hasattr(problem, "api_response"):
            about["body"] = {"error": problem.api_response.model_dump(by_alias=True)}
    return stdio.Refusal(**about)


def execute(key: str | None, args: dict[str, Any]) -> Any:
    interpreter = client(key).code_interpreter
    run = interpreter.run if hasattr(interpreter, "run") else interpreter.execute
    try:
        return shown(run(**args))
    except Exception as problem:
        raise refused(problem) from problem


def list_sessions(key: str | None, args: dict[str, Any]) -> Any:
    try:
        return shown(client(key).code_interpreter.sessions.list())
    except Exception as problem:
        raise refused(problem) from problem


def lacks() -> str | None:
    """Says why there is nothing to play: later versions have no interpreter."""
    try:
        client(None).code_interpreter  # noqa: B018
    except AttributeError as problem:
        return f"no code interpreter: {type(problem).__name__}: {problem}"
    return None


if __name__ == "__main__":
    version = importlib.metadata.version("together")
    stdio.serve("together " + version, {"execute": execute, "list_sessions": list_sessions}, lacks())
