"""Checks of arguments before they are sent, and the shapes that they get."""

from __future__ import annotations

import base64
import json
import math
import urllib.parse
from typing import Any, Mapping, Sequence, Union

from .errors import InfraError

#: A dict of name to content, or the wire's list of dicts.
FileInput = Union[Mapping[str, Union[bytes, str]], Sequence[Mapping[str, str]]]


def text(name: str, value: Any) -> str:
    """A non-empty str."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} must not be empty")
    return value


def number(name: str, value: Any) -> float:
    """A finite number, not below 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a finite number, not below 0")
    return float(value)


def count(name: str, value: Any) -> int:
    """An int, not below 0."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} must not be below 0")
    return int(value)


def mapping(name: str, value: Any) -> dict[str, str]:
    """A dict of str to str."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, not {type(value).__name__}")
    for k, v in value.items():
        if not isinstance(k, str) or not isinstance(v, str):
            raise TypeError(f"{name} must hold str only, not {k!r}: {v!r}")
    return dict(value)


def inline_files(files: FileInput) -> list[dict[str, str]]:
    """Files for a JSON body."""
    if not isinstance(files, Mapping):
        if isinstance(files, (str, bytes)):
            raise TypeError("files must be a dict of name to content, or a list of dicts")
        return [dict(f) for f in files]
    listed = []
    for name, content in files.items():
        if isinstance(content, str):
            listed.append({"name": name, "encoding": "string", "content": content})
        elif isinstance(content, (bytes, bytearray, memoryview)):
            encoded = base64.b64encode(content).decode("ascii")
            listed.append({"name": name, "encoding": "base64", "content": encoded})
        else:
            raise TypeError(f"the content of {name!r} must be bytes or str, not {type(content).__name__}")
    return listed


def segment(part: str) -> str:
    """Encodes one segment of a path."""
    encoded = urllib.parse.quote(part, safe="")
    # quote leaves dots, and servers resolve these two.
    return encoded.replace(".", "%2E") if encoded in (".", "..") else encoded


def encode(body: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8. What JSON can't carry is refused here: the daemon would
    read a lone surrogate as another character."""
    try:
        return json.dumps(body, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"text with a lone surrogate can't be sent: {error.object[error.start]!r}") from None


def decode(answer: bytes) -> Any:
    """The JSON of an answer; None where it is empty."""
    if not answer.strip():
        return None
    try:
        return json.loads(answer)
    except ValueError:
        raise InfraError("the daemon's answer was cut off or is not JSON") from None
