"""The patterns of the cases, as test/conformance/README.md describes them."""

from __future__ import annotations

import base64
import binascii
import pathlib
import re
import sys
from typing import Any, Callable

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "packages"))
import png

NEAR = 1e-9


class Mismatch(Exception):
    """Something is not what the case says."""


def fit(pattern: Any, value: Any, where: str = "", saved: dict[str, Any] | None = None) -> None:
    """Raises Mismatch unless the value fits the pattern."""
    if isinstance(pattern, dict):
        if any(key.startswith("$") for key in pattern):
            ((word, operand),) = pattern.items()
            if not special(word, operand, value, where, saved):
                raise unfit(where, value, f"{word} {operand!r}")
            return
        if not isinstance(value, dict):
            raise unfit(where, value, f"an object with {sorted(pattern)}")
        for key, part in pattern.items():
            if part == {"$absent": True}:
                if key in value:
                    raise unfit(f"{where}.{key}".lstrip("."), value[key], "nothing")
                continue
            if key not in value:
                raise unfit(where, value, f"the key {key!r}")
            fit(part, value[key], f"{where}.{key}".lstrip("."), saved)
    elif isinstance(pattern, list):
        if not isinstance(value, list) or len(value) != len(pattern):
            raise unfit(where, value, f"{len(pattern)} items")
        for i, part in enumerate(pattern):
            fit(part, value[i], f"{where}[{i}]", saved)
    elif not same(pattern, value):
        raise unfit(where, value, repr(pattern))


def unfit(where: str, value: Any, wanted: str) -> Mismatch:
    shown = repr(value)
    if len(shown) > 800:
        shown = shown[:500] + " … " + shown[-300:]
    return Mismatch(f"{where or 'the answer'} is {shown}, wanted {wanted:.500}")


def fits(pattern: Any, value: Any, saved: dict[str, Any] | None) -> bool:
    try:
        fit(pattern, value, "", saved)
    except Mismatch:
        return False
    return True


def special(word: str, operand: Any, value: Any, where: str, saved: dict[str, Any] | None) -> bool:
    """Applies a pattern with a ``$``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    simple: dict[str, Callable[[], Any]] = {
        "$equal": lambda: same(operand, value),
        "$contains": lambda: any(
            isinstance(v, str) and operand in v for v in (value if isinstance(value, list) else [value])
        ),
        "$match": lambda: isinstance(value, str) and re.search(operand, value),
        "$near": lambda: number and abs(value - operand) < NEAR,
        "$above": lambda: number and value > operand,
        "$below": lambda: number and value < operand,
        "$not": lambda: not fits(operand, value, saved),
        "$some": lambda: isinstance(value, list) and any(fits(operand, v, saved) for v in value),
        "$none": lambda: isinstance(value, list) and not any(fits(operand, v, saved) for v in value),
        "$length": lambda: operand.get("min", 0) <= len(value) <= operand.get("max", len(value)),
        "$saved": lambda: same((saved or {})[operand], value),
    }
    if word in simple:
        return bool(simple[word]())
    # The rest says more exactly what doesn't fit.
    if word == "$all":
        for part in operand:
            fit(part, value, where, saved)
    elif word == "$each":
        for i, item in enumerate(value):
            fit(operand, item, f"{where}[{i}]", saved)
    elif word == "$last":
        if not isinstance(value, list) or not value:
            return False
        fit(operand, value[-1], f"{where}[{len(value) - 1}]", saved)
    elif word == "$after":
        if not isinstance(value, str) or not value.startswith(operand["prefix"]):
            return False
        fit(operand["fits"], value[len(operand["prefix"]) :], where, saved)
    elif word == "$png":
        check_png(operand, value, where)
    else:
        raise Mismatch(f"the pattern {word} is not known")
    return True


def same(a: Any, b: Any) -> bool:
    """Equality of JSON values: in Python itself, True equals 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def check_png(wanted: dict[str, Any], value: Any, where: str) -> None:
    """Raises Mismatch unless the value is base64 of a PNG that is as wanted."""
    try:
        image = png.decode(base64.b64decode("".join(value.split()), validate=True))
    except (AttributeError, ValueError, binascii.Error) as problem:
        raise Mismatch(f"{where} is no PNG in base64: {problem!r}") from None
    if image.width < wanted.get("min_width", 1) or image.height < wanted.get("min_height", 1):
        raise Mismatch(f"{where} is an image of {image.width} × {image.height}, wanted {wanted}")
    colours = set(image.pixels()) if "colours" in wanted or "min_colours" in wanted else set()
    if "min_colours" in wanted and len(colours) < wanted["min_colours"]:
        raise Mismatch(f"{where} is an image with {len(colours)} colours, wanted {wanted['min_colours']}")
    for colour in wanted.get("colours", []):
        if tuple(colour) not in colours:
            raise Mismatch(f"{where} is an image without the colour {colour}")
