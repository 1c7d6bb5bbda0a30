"""Exceptions as text: no kernel frames, no colours, bounded."""

import os
import traceback

# Folders whose frames are left out of tracebacks: the kernel's own, and those
# of what runs cells for it.
_hidden = (os.path.dirname(os.path.abspath(__file__)) + os.sep,)
MAX_TRACEBACK = 64 << 10
MAX_VALUE = 8 << 10
MAX_NAME = 256
MAX_LINES = 2000
# Of a longer traceback only the innermost frames are formatted.
MAX_FRAMES = 1000
CUT_MARK = "… cut: %d characters …"
CHAIN_DEPTH = 50


def hide(folder):
    """Leaves the frames of a folder's files out of tracebacks from now on."""
    global _hidden
    _hidden += (folder + os.sep,)


def _middle_cut(text, limit):
    if len(text) <= limit:
        return text
    half = limit // 2 - 40
    return text[:half] + "\n" + CUT_MARK % (len(text) - 2 * half) + "\n" + text[-half:]


def value_text(error):
    """str(error), whatever its class does."""
    try:
        text = str(error)
        if type(text) is not str:
            text = str.__str__(text)
    except Exception as e:
        text = "<its __str__ raised %s>" % type(e).__name__
    return text


def _strip(exc, depth=0):
    """Removes the kernel's frames from an exception and those it came from."""
    if exc is None or depth > CHAIN_DEPTH:
        return
    exc.stack[:] = [f for f in exc.stack if not f.filename.startswith(_hidden)]
    _strip(exc.__cause__, depth + 1)
    _strip(exc.__context__, depth + 1)
    for inner in getattr(exc, "exceptions", None) or ():
        _strip(inner, depth + 1)


def _long(tb):
    n = 0
    while tb is not None and n <= MAX_FRAMES:
        tb, n = tb.tb_next, n + 1
    return n > MAX_FRAMES


def _text(error, frames):
    tb = error.__traceback__ if frames else None
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_hidden):
        tb = tb.tb_next
    limit = -MAX_FRAMES if _long(tb) else None
    exc = traceback.TracebackException(type(error), error, tb, limit=limit)
    _strip(exc)
    return "".join(exc.format())


def describe(error, frames=True):
    """The error event of an exception. frames False leaves the traceback out:
    a cell that does not compile has none but ours. User code (__str__) runs."""
    name = type(error).__name__[:MAX_NAME]
    value = value_text(error)
    try:
        text = _text(error, frames)
    except Exception:
        text = "%s: %s" % (name, value)
    return event(name, value, text)


def bare(error):
    """The error event of an exception, without running any user code. Its text
    may take for ever, and so may that of the exception it came from."""
    return event(type(error).__name__[:MAX_NAME], "")


def event(name, value, text=None):
    if text is None:
        text = "%s: %s" % (name, value) if value else name
    text = _bounded(text.rstrip("\n"), MAX_TRACEBACK)
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        half = MAX_LINES // 2
        cut = "… cut: %d lines …" % (len(lines) - 2 * half)
        lines = lines[:half] + [cut] + lines[-half:]
    return {"type": "error", "name": name, "value": _bounded(value, MAX_VALUE), "traceback": lines}


def _bounded(text, limit):
    """Bounds characters first, since the text may be huge, then UTF-8 bytes."""
    text = _middle_cut(text, limit)
    size = len(text.encode("utf-8", "replace"))
    return text if size <= limit else _middle_cut(text, limit * len(text) // size - 80)
