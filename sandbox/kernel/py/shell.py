"""What every shell shares: the interface, outcomes, and conditions."""

import sys
import types
from contextlib import contextmanager
from importlib.util import find_spec

from . import errors


class Outcome:
    """How an execution ended.

    status: "ok", "error" or "interrupted". error: its event, or None.
    source: "expression", "variable" or "none"; value and text (the repr) are
    the result's, when there is one.
    """

    def __init__(self, status, error=None, source="none", value=None, text=None):
        self.status, self.error = status, error
        self.source, self.value, self.text = source, value, text


def failed(error, frames=True):
    status = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
    return Outcome(status, errors.describe(error, frames))


class Shell:
    """Runs cells in one namespace. run and condition run as user code: a
    KeyboardInterrupt, or what a user's signal handler raises, can strike
    anywhere in them."""

    name = "?"

    def __init__(self):
        # The real __main__, so that pickle and multiprocessing find the user's
        # classes.
        self.module = types.ModuleType("__main__")
        self.namespace = self.module.__dict__
        self.result = None  # what the last execution bound, for conditions
        sys.modules["__main__"] = self.module

    def warm(self):
        """Does ahead what the first cell would otherwise wait for; it leaves nothing
        that a user could see."""

    @contextmanager
    def unseen(self):
        """Takes back what a user could see of the cells that run within."""
        before = dict(self.namespace)
        try:
            yield
        finally:
            self.result = None
            for name in set(self.namespace) - set(before):
                del self.namespace[name]
            self.namespace.update(before)

    def begin(self, code):
        """Takes note of a cell before it runs. No user code runs here, and no
        signal strikes: locks can be taken."""

    def run(self, code, filename):
        """Runs a cell and shows its value; returns an Outcome. It catches what
        the user's code raises."""
        raise NotImplementedError

    def condition(self, expression, stdout, stderr):
        """Evaluates an expression; returns a verdict's status and message."""
        try:
            code = compile(expression, "<condition>", "eval", dont_inherit=True)
        except Exception as e:  # SyntaxError, ValueError (NUL), RecursionError …
            return "compile_error", _one_line(e)
        scope = dict(self.namespace)
        scope.update(result=self.result, stdout=stdout, stderr=stderr)
        try:
            return ("passed" if eval(code, scope) else "wrong_answer"), ""
        except KeyboardInterrupt:
            return "interrupted", "KeyboardInterrupt"
        except BaseException as e:
            return "runtime_error", _one_line(e)

    def complete(self, code, cursor):
        """What could stand at the cursor: names, and the start and end of what
        they replace, in characters. Runs as user code."""
        raise NotImplementedError

    def completeness(self, code):
        """Whether code could run: "complete", "incomplete" or "invalid", and the
        indent of the next line."""
        raise NotImplementedError


def find_shell():
    """The class of the best shell that this Python has the packages for."""
    if find_spec("IPython"):
        try:
            from .ipython import IPythonShell

            return IPythonShell
        except Exception as e:  # a broken package must not cost the session
            sys.stderr.write("IPython can't be used: %s\n" % _one_line(e))
    from .plain import PlainShell

    return PlainShell


def _one_line(error):
    event = errors.describe(error, frames=False)
    return "%s: %s" % (event["name"], event["value"])
