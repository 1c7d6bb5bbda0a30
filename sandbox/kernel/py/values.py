"""Python values as JSON and as text, without running user code for JSON."""

import json
import math

MAX_DEPTH = 32
MAX_JSON_BYTES = 1 << 20
MAX_INT = 1 << 53
MAX_REPR = 64 << 10
# Display data may nest a little less than the daemon accepts.
DISPLAY_DEPTH = 60
CUT = "\n… cut: %d of %d characters shown"


class NotPlain(Exception):
    """The value is not losslessly JSON."""


class _Copier:
    """Copies a value made of exact built-in types. Only type() and C code of
    built-in types touch the value, so no user code runs, and a thread that
    changes the value meanwhile cannot slip something else in."""

    def __init__(self, max_depth, budget):
        self.max_depth = max_depth
        self.budget = budget

    def spend(self, n):
        self.budget -= n
        if self.budget < 0:
            raise NotPlain("too large")

    def text(self, value):
        try:
            self.spend(2 + len(value.encode("utf-8")))
        except UnicodeEncodeError:
            raise NotPlain("a lone surrogate") from None
        return value

    def copy(self, value, depth=0):
        kind = type(value)
        if value is None or kind is bool:
            self.spend(4)
            return value
        if kind is str:
            return self.text(value)
        if kind is int:
            if not -MAX_INT <= value <= MAX_INT:
                raise NotPlain("an integer beyond 2**53")
            self.spend(1)
            return value
        if kind is float:
            if not math.isfinite(value):
                raise NotPlain("not a finite number")
            self.spend(3)
            return value
        if kind is list or kind is dict:
            if depth >= self.max_depth:
                raise NotPlain("nested too deeply")
            self.spend(2 + len(value))
            if kind is list:
                return [self.copy(v, depth + 1) for v in value]
            result = {}
            for k, v in value.items():
                if type(k) is not str:
                    raise NotPlain("a key that is not a string")
                result[self.text(k)] = self.copy(v, depth + 1)
            return result
        raise NotPlain("a " + kind.__name__)


class _Tolerant(_Copier):
    """Copies display data: what JSON lacks becomes the nearest that it has."""

    def text(self, value):
        value = str.encode(value, "utf-8", "replace")
        self.spend(2 + len(value))
        return value.decode("utf-8")

    def copy(self, value, depth=0):
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (list, tuple)):
            value = list(value)
        if type(value) is int:
            self.spend(len(str(value)) if abs(value) > MAX_INT else 1)
            return value if abs(value) < 1 << 1000 else None
        if type(value) is float and not math.isfinite(value):
            return None
        if isinstance(value, dict):
            value = {self.text(str(k)): v for k, v in value.items()}
        return super().copy(value, depth)


def lossless(value):
    """Returns (True, copy) when value is losslessly JSON, else (False, None)."""
    try:
        copied = _Copier(MAX_DEPTH, MAX_JSON_BYTES).copy(value)
        if type(value) not in (str, list, dict):
            return True, copied
        size = len(json.dumps(copied, ensure_ascii=False).encode("utf-8"))
    except (NotPlain, RuntimeError):  # RuntimeError: a dictionary that grows
        return False, None
    return (True, copied) if size <= MAX_JSON_BYTES else (False, None)


def displayable(value, budget):
    """A copy of value that JSON can carry, and what is left of the budget of
    bytes; raises NotPlain."""
    copier = _Tolerant(DISPLAY_DEPTH, budget)
    copied = copier.copy(value)
    return copied, copier.budget


def safe_repr(value):
    """repr(value), or a description of why there is none. User code runs."""
    try:
        text = repr(value)
        return text if type(text) is str else str.__str__(text)
    except Exception as e:
        return "<%s object: its __repr__ raised %s>" % (type(value).__name__, type(e).__name__)


def bounded_utf8(text, limit):
    """text cut so that its UTF-8 has at most limit bytes, with a mark."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text
    kept = data[: limit - 100].decode("utf-8", "ignore")
    return kept + CUT % (len(kept), len(text))
