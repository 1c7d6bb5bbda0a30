"""The runner without a client: HTTP as it is on the wire."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
import urllib.parse
from typing import Any

import stdio

BASE = urllib.parse.urlsplit(os.environ["TOGETHER_BASE_URL"])
KEY = os.environ["TOGETHER_API_KEY"]
#: longer than any run of the cases
TIMEOUT = 200


def send(
    key: str | None, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> http.client.HTTPConnection:
    """Sends one request on a connection of its own; an empty key sends none."""
    connection = http.client.HTTPConnection(BASE.hostname or "", BASE.port, timeout=TIMEOUT)
    headers = dict(headers)
    if key != "":
        headers["Authorization"] = f"Bearer {KEY if key is None else key}"
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, path, body, headers)
    except (BrokenPipeError, ConnectionResetError):
        # The daemon may answer before it has read a body that is too large.
        if connection.sock is None:
            raise
    return connection


def receive(connection: http.client.HTTPConnection) -> dict[str, Any]:
    """Reads the answer; a body that is not JSON stays a string. Its quiet is the
    longest time without a byte."""
    last, quiet, data = time.monotonic(), 0.0, b""
    try:
        response = connection.getresponse()
        while True:
            now = time.monotonic()
            last, quiet = now, max(quiet, now - last)
            part = response.read1(1 << 20)
            if not part:
                break
            data += part
    finally:
        connection.close()
    text = data.decode("utf-8")
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    return {
        "status": response.status,
        "headers": {name.lower(): value for name, value in response.getheaders()},
        "body": body,
        "quiet": quiet,
    }


def call(
    key: str | None, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """One request of a case, refused when its status says so."""
    data = None if body is None else json.dumps(body).encode()
    answer = receive(send(key, method, path, data, headers or {}))
    if 200 <= answer["status"] < 300:
        return {"body": answer.pop("body"), "http": answer}
    raise stdio.Refusal(classes=[], message=str(answer["body"]), **answer)


def request_of(args: dict[str, Any]) -> dict[str, Any]:
    """The JSON body of an execution."""
    return {name: args[name] for name in ("code", "language", "session_id", "files") if name in args}


def execute(key: str | None, args: dict[str, Any]) -> Any:
    path = args.get("path", BASE.path + "/tci/execute")
    return call(key, "POST", path, request_of(args), args.get("headers"))


def disconnect(key: str | None, args: dict[str, Any]) -> Any:
    """Sends an execution and goes away while it runs."""
    connection = send(key, "POST", BASE.path + "/tci/execute", json.dumps(request_of(args)).encode(), {})
    time.sleep(args["after"])
    assert connection.sock is not None
    connection.sock.setblocking(False)
    try:
        early = connection.sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        early = b""
    connection.close()
    if early:
        raise AssertionError("the run was over before the client went away")
    return {}


def request(key: str | None, args: dict[str, Any]) -> Any:
    """Any request; the answer is never an error."""
    body = args.get("body")
    if body is not None and "fill" in args:
        body = body.replace("%s", "x" * args["fill"])
    data = None if body is None else body.encode()
    return receive(send(key, args["method"], args["path"], data, args.get("headers", {})))


if __name__ == "__main__":
    stdio.serve(
        "HTTP",
        {
            "execute": execute,
            "list_sessions": lambda key, args: call(key, "GET", BASE.path + "/tci/sessions"),
            "close": lambda key, args: call(key, "DELETE", BASE.path + "/sessions/" + args["session_id"]),
            "disconnect": disconnect,
            "request": request,
        },
    )
