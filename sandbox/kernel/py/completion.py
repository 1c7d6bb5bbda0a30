"""Completion, and whether a cell is complete, without IPython."""

import codeop
import re
import rlcompleter

MAX_MATCHES = 500
MAX_MATCH = 1024  # characters
MAX_INDENT = 1024
_NAME = re.compile(r"[\w.]+\Z")
_INDENT = re.compile(r"[ \t]*")
_LEAVES = re.compile(r"\s*(?:return|pass|break|continue|raise)\b")


def complete(code, cursor, namespace):
    """The matches for the name before the cursor, and where that name starts.
    Attributes are looked up: user code may run."""
    found = _NAME.search(code, 0, cursor)
    if not found or found.group()[0].isdigit():
        return [], cursor
    text = found.group()
    completer = rlcompleter.Completer(namespace)
    matches = completer.attr_matches(text) if "." in text else completer.global_matches(text)
    # rlcompleter adds brackets to what can be called, and blanks to keywords.
    names = (m.rstrip("( :)") for m in matches)
    return bounded(names), found.start()


def bounded(names):
    """Different names, as many as fit an answer."""
    kept = {}
    for name in names:
        if len(name) <= MAX_MATCH:
            kept[name] = None
        if len(kept) == MAX_MATCHES:
            break
    return list(kept)


def completeness(code, parse):
    """Whether code could run: "complete", "incomplete" or "invalid", and the
    indent of the next line. parse raises SyntaxError for what isn't code."""
    if not code.strip():
        return "complete", ""
    try:
        parse(code)
    except SyntaxError:
        try:
            if codeop.compile_command(code, "<input>", "exec") is None:
                return "incomplete", indent(code)
        except (SyntaxError, OverflowError, ValueError):
            pass
        return "invalid", ""
    except (ValueError, RecursionError, MemoryError):
        return "invalid", ""
    # A block goes on until an empty line.
    lines = code.split("\n")
    if len(lines) > 1 and lines[-1][:1] in (" ", "\t") and lines[-1].strip():
        return "incomplete", indent(code)
    return "complete", ""


def indent(code):
    """What the line after an incomplete piece of code begins with."""
    lines = [line for line in code.split("\n") if line.strip()]
    last = lines[-1]
    own = _INDENT.match(last).group()  # other blanks indent nothing
    if last.rstrip().endswith(":"):
        return own + "    "
    if _LEAVES.match(last):
        return own[:-4]
    return own
