"""Checks of arguments before they are sent, and the shapes that they get."""

from __future__ import annotations

import base64
import math
from typing import Any, Mapping, Sequence, Union

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
