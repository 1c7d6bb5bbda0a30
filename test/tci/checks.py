"""What every answer must be, whatever case it belongs to."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from patterns import Mismatch

SESSION_ID = re.compile(r"\Ases_[1-9A-HJ-NP-Za-km-z]{21}\Z")
STREAMS = ("stdout", "stderr", "error")
#: MIME type -> what its value is
MIME_TYPES = {
    "application/geo+json": "object",
    "application/javascript": "text",
    "application/json": "object",
    "application/pdf": "base64",
    "application/vnd.vega.v5+json": "object",
    "application/vnd.vegalite.v4+json": "object",
    "image/gif": "base64",
    "image/jpeg": "base64",
    "image/png": "base64",
    "image/svg+xml": "text",
    "text/html": "text",
    "text/latex": "text",
    "text/markdown": "text",
    "text/plain": "text",
}
#: The daemon sends something at least every 10 s; a busy machine takes longer.
QUIET = 15
#: statuses after which a client may try again
RETRYABLE = (429, 503)


def want(condition: Any, problem: str) -> None:
    if not condition:
        raise Mismatch(problem)


def check_success(answer: dict[str, Any], session_id: str | None) -> dict[str, Any]:
    """Checks the answer to an execution that ran; returns its data."""
    body = answer["body"]
    want(isinstance(body, dict), f"the body is {body!r:.300}")
    want(body.get("errors") is None, f"errors is {body.get('errors')!r:.300}")
    data = body.get("data")
    want(isinstance(data, dict), f"data is {data!r:.300}")
    if "http" in answer:
        want(set(body) == {"errors", "data"}, f"the body has the keys {sorted(body)}")
        check_headers(answer["http"])
        want(answer["http"]["quiet"] < QUIET, f"not a byte came for {answer['http']['quiet']:.0f} s")
    elif "class" in answer:
        models = ("ExecuteResponse", "SuccessfulExecution")
        want(answer["class"] in models, f"the client made it a {answer['class']}")
    want(data.get("status") == "success", f"data.status is {data.get('status')!r}")
    want(
        isinstance(data.get("session_id"), str) and SESSION_ID.match(data["session_id"]),
        f"data.session_id is {data.get('session_id')!r}",
    )
    want(session_id in (None, data["session_id"]), f"it ran in {data['session_id']}, not in {session_id}")
    want(isinstance(data.get("outputs"), list), f"data.outputs is {data.get('outputs')!r:.300}")
    for i, output in enumerate(data["outputs"]):
        check_output(output, f"outputs[{i}]")
    raised = any(output["type"] == "error" for output in data["outputs"])
    want(
        isinstance(data.get("errors"), str) if raised else data.get("errors") is None,
        f"data.errors is {data.get('errors')!r:.300} with {'an' if raised else 'no'} error output",
    )
    return dict(data)


def check_headers(http: dict[str, Any]) -> None:
    """Checks status and headers of an answer with a body of JSON."""
    kind = http["headers"].get("content-type", "")
    want(kind.split(";")[0] == "application/json", f"the content type is {kind!r}")
    want("content-encoding" not in http["headers"], "the body is compressed")


def check_output(output: Any, where: str) -> None:
    """Checks the types of one output."""
    want(isinstance(output, dict) and set(output) == {"type", "data"}, f"{where} is {output!r:.300}")
    kind, data = output["type"], output["data"]
    if kind in STREAMS:
        want(isinstance(data, str), f"{where} is {kind} with {data!r:.300}")
        return
    want(kind in ("display_data", "execute_result"), f"{where} has the type {kind!r}")
    want(isinstance(data, dict) and data, f"{where} is {kind} with {data!r:.300}")
    for mime, value in data.items():
        want(mime in MIME_TYPES, f"{where} has the MIME type {mime!r}, which the API doesn't know")
        wanted = MIME_TYPES[mime]
        good = isinstance(value, dict if wanted == "object" else str)
        if good and wanted == "base64":
            try:
                base64.b64decode("".join(value.split()), validate=True)
            except binascii.Error:
                good = False
        want(good, f"{where} has {value!r:.200} as {mime}, wanted {wanted}")


def check_failed(answer: dict[str, Any]) -> list[Any]:
    """Checks the answer with status 200 to a request that never ran; returns
    its errors."""
    body = answer["body"]
    want(
        isinstance(body, dict) and body.get("data", 0) is None and "errors" in body,
        f"wanted data null and errors, got {body!r:.500}",
    )
    errors = body["errors"]
    want(isinstance(errors, list) and errors, f"errors is {errors!r:.300}")
    want(all(isinstance(e, (str, dict)) for e in errors), f"errors is {errors!r:.300}")
    if "http" in answer:
        want(set(body) == {"errors", "data"}, f"the body has the keys {sorted(body)}")
        check_headers(answer["http"])
        want(answer["http"]["headers"].get("x-should-retry") == "false", "x-should-retry is not false")
    elif "class" in answer:
        want(answer["class"] == "FailedExecution", f"the client made it a {answer['class']}")
    return list(errors)


def check_error_body(error: dict[str, Any], wire: bool) -> None:
    """Checks the body of an answer that is an error. On the wire all of it is
    seen; clients show their part."""
    body = error.get("body")
    want(isinstance(body, dict), f"the body is {body!r:.300}")
    assert isinstance(body, dict)
    inner = body.get("error")
    want(isinstance(inner, dict), f"error is {inner!r:.300}")
    assert isinstance(inner, dict)
    want(isinstance(inner.get("message"), str) and inner["message"], f"error.message is {inner!r:.300}")
    want(isinstance(inner.get("type"), str) and inner["type"], f"error.type is {inner!r:.300}")
    want(isinstance(inner.get("code"), str) and inner["code"], f"error.code is {inner!r:.300}")
    want(isinstance(inner.get("param"), (str, type(None))), f"error.param is {inner!r:.300}")
    if not wire:
        return
    want({"param", "request_id"} <= set(inner), f"error has the keys {sorted(inner)}")
    want(isinstance(inner["request_id"], str), f"error.request_id is {inner['request_id']!r}")
    want(body.get("data", 0) is None, f"data is {body.get('data', 'absent')!r:.300}")
    want(body.get("errors") == [inner["message"]], f"errors is {body.get('errors')!r:.300}")
    check_headers(error)
    if error["status"] in RETRYABLE:
        after = error["headers"].get("retry-after", "")
        want(after.isdigit() and 1 <= int(after) <= 60, f"retry-after is {after!r}")
    else:
        want(error["headers"].get("x-should-retry") == "false", "x-should-retry is not false")
