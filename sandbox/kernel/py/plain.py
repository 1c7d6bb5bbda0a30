"""The shell without IPython: cells, the value of the last expression, display."""

import __future__

import ast
import linecache
import re
from contextlib import contextmanager

from . import charts, completion, magics
from .bound import ResultWatch
from .display import bundle
from .shell import Outcome, Shell, failed
from .values import MAX_REPR, bounded_utf8, safe_repr

# Sources that tracebacks can show, oldest dropped first.
MAX_SOURCES = 16 << 20
_FEATURES = [getattr(__future__, name) for name in __future__.all_feature_names]
_CO_COROUTINE = 0x80
_INDENT = re.compile(r"(?:[ \t]*(?:#.*)?\n)*([ \t]+)\S")


class PlainShell(Shell):
    name = "plain"

    def __init__(self, displayer):
        super().__init__()
        self.displayer = displayer
        self._future = 0  # flags of the user's `from __future__ import …`
        self._sources = {}
        self._sources_size = 0
        self._shown = self  # what `_` was set to; no user value is this
        self._loop = None
        self.namespace["display"] = displayer.display
        self.namespace["update_display"] = displayer.update
        charts.connect(displayer, self.name == "ipython")
        magics.connect(self)

    @contextmanager
    def unseen(self):
        emit = self.displayer.emit
        try:
            with super().unseen():
                yield
        finally:
            self.displayer.emit = emit
            self._shown = self
            for name in self._sources:
                linecache.cache.pop(name, None)
            self._sources.clear()
            self._sources_size = 0

    def run(self, code, filename):
        outcome = self._run(code, filename)
        charts.end_cell()
        return outcome

    def _run(self, code, filename):
        self.result = None
        try:
            source, tree, codes, last = self._prepare(code, filename)
        except KeyboardInterrupt as e:
            return self._failed(e)
        except Exception as e:  # SyntaxError, ValueError (NUL), RecursionError …
            return self._failed(e, frames=False)
        try:
            with ResultWatch(self.namespace, tree) as watch:
                value = None
                for compiled in codes:
                    value = self._evaluate(compiled)
            return self._finish(value if last is not None else None, watch, last, source)
        except BaseException as e:  # SystemExit, too, ends only the cell
            return self._failed(e)

    def _failed(self, error, frames=True):
        return failed(error, frames)

    def _finish(self, value, watch, last, source):
        if value is not None:
            self.result = value
            text = self._show(value, _suppressed(source, last))
            return Outcome("ok", None, "expression", value, bounded_utf8(text, MAX_REPR))
        if watch.bound:
            self.result = watch.value
            text = bounded_utf8(safe_repr(watch.value), MAX_REPR)
            return Outcome("ok", None, "variable", watch.value, text)
        return Outcome("ok")

    def _show(self, value, suppressed):
        """Shows a cell's value, unless a semicolon says not to; returns its repr."""
        text = safe_repr(value)
        self._set_underscore(value)
        if not suppressed:
            data, metadata = bundle(value, text)
            self.displayer.send("execute_result", data, metadata, hold=True)
        return text

    def _set_underscore(self, value):
        """Sets `_`, unless the user's code uses that name for its own."""
        if "_" not in self.namespace or self.namespace["_"] is self._shown:
            self.namespace["_"] = self._shown = value

    def evaluate(self, code, filename):
        """Runs code for a magic; returns the value of the last expression."""
        _, _, codes, last = self._prepare(code, filename)
        value = None
        for compiled in codes:
            value = self._evaluate(compiled)
        return value if last is not None else None

    def complete(self, code, cursor):
        names, start = completion.complete(code, cursor, self.namespace)
        return names, start, cursor

    def completeness(self, code):
        return completion.completeness(code, lambda source: self._parse(source, "<input>"))

    # Compiling.

    def _prepare(self, code, filename):
        """The source that compiles, its tree, the code objects, and the last
        expression, or None."""
        source, tree = self._parse(code, filename)
        self._remember(filename, source)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = tree.body.pop().value
        codes = [self._compile(tree, filename, "exec")] if tree.body else []
        if last is not None:
            codes.append(self._compile(ast.Expression(last), filename, "eval"))
            tree.body.append(ast.Expr(last))
        return source, tree, codes, last

    def _parse(self, code, filename):
        """The source, with commands and magics made Python, and its tree."""
        code = magics.rewrite_cell(code) or code
        while True:
            try:
                return self._parse_python(code, filename)
            except SyntaxError as e:
                # Only here, so that code that is Python stays as it is.
                rewritten = magics.rewrite_line(code, e.lineno)
                if rewritten is None:
                    raise
                code = rewritten

    def _parse_python(self, code, filename):
        """The source that compiles, and its tree."""
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | self._future
        code = code.replace("\r\n", "\n").replace("\r", "\n")  # as compile does
        try:
            return code, compile(code, filename, "exec", flags, dont_inherit=True)
        except IndentationError:
            match = _INDENT.match(code)
            if match is None:
                raise
            indent = match.group(1)
            lines = code.split("\n")
            code = "\n".join([x[len(indent) :] if x.startswith(indent) else x for x in lines])
            return code, compile(code, filename, "exec", flags, dont_inherit=True)

    def _compile(self, tree, filename, mode):
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | self._future
        compiled = compile(tree, filename, mode, flags, dont_inherit=True)
        for feature in _FEATURES:
            if compiled.co_flags & feature.compiler_flag:
                self._future |= feature.compiler_flag
        return compiled

    def _remember(self, filename, source):
        """Lets tracebacks and inspect see the source. No modification time:
        linecache then never looks for a file of that name. Every line ends in a
        newline, as linecache has it of files: without, Python 3.11 puts ~~~^ one
        column too far to the right."""
        self._sources_size -= len(self._sources.pop(filename, ""))
        self._sources[filename] = source
        self._sources_size += len(source)
        lines = source.splitlines(True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        linecache.cache[filename] = (len(source), None, lines, filename)
        while self._sources_size > MAX_SOURCES and len(self._sources) > 1:
            oldest = next(iter(self._sources))
            self._sources_size -= len(self._sources.pop(oldest))
            linecache.cache.pop(oldest, None)

    # Running.

    def _evaluate(self, compiled):
        value = eval(compiled, self.namespace)
        if compiled.co_flags & _CO_COROUTINE:
            return self._wait(value)
        return value

    def _wait(self, coroutine):
        """Runs top-level await, in one event loop for all cells."""
        import asyncio

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            if not task.done():  # interrupted: the cell must not go on later
                task.cancel()
                self._loop.run_until_complete(asyncio.wait([task], timeout=1))
            raise


def _suppressed(source, last):
    """Whether a semicolon follows the last expression."""
    lines = source.encode("utf-8", "replace").split(b"\n")
    lines[last.end_lineno - 1] = lines[last.end_lineno - 1][last.end_col_offset :]
    rest = lines[last.end_lineno - 1 :]
    # Nothing but brackets, semicolons and comments can follow.
    return any(b";" in line.split(b"#")[0] for line in rest)
