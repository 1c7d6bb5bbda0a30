"""The shell with IPython: magics, `!commands`, rich display, In and Out.

IPython transforms what isn't Python, formats what is shown, and keeps its
history. Cells are compiled, run and reported as the plain shell does it, so
that results, tracebacks and interrupts don't depend on what an image holds.
"""

import os
import sys
import warnings
from contextlib import contextmanager

import IPython
from IPython.core.completer import provisionalcompleter, rectify_completions
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell
from IPython.display import update_display
from traitlets import Any
from traitlets.config import Config

from . import completion, errors
from .display import PLAIN, clean
from .magics import run_command
from .plain import PlainShell
from .values import safe_repr

# It is the right pip: there is one Python.
warnings.filterwarnings("ignore", "You executed the system command !pip")
errors.hide(os.path.dirname(os.path.abspath(IPython.__file__)))


def _has_printer(formatter, kind, value):
    """Whether somebody has registered a rich representation of such a value. Plain
    values have none by themselves: asking IPython's dozen of formatters for one
    takes longer than all the rest of a short cell."""
    rich = [f for name, f in formatter.formatters.items() if name != "text/plain"]
    for f in (formatter.ipython_display_formatter, formatter.mimebundle_formatter, *rich):
        for printers in (f.type_printers, f.singleton_printers, f.deferred_printers):
            if printers and (
                id(value) in printers
                or any(k in printers or (k.__module__, k.__name__) in printers for k in kind.__mro__)
            ):
                return True
    return False


class _Hook(DisplayHook):
    """Shows values as events in the place of `Out[1]: …`."""

    displayer = Any()
    text = None  # of the last value shown

    @property
    def prompt_count(self):
        # The counter of cells moves before the cell or after it, as versions go.
        return len(self.shell.history_manager.input_hist_parsed) - 1

    def write_output_prompt(self):
        pass

    def finish_displayhook(self):
        self._is_active = False

    def log_output(self, format_dict):
        """Does nothing: Out keeps the values, and that must do."""

    def compute_format_data(self, result):
        formatter = self.shell.display_formatter
        kind = type(result)
        if kind in PLAIN and not _has_printer(formatter, kind, result):
            return {"text/plain": formatter.formatters["text/plain"](result)}, {}
        return super().compute_format_data(result)

    def write_format_data(self, format_dict, md_dict=None):
        self.text = format_dict.get("text/plain")
        data, metadata = clean(format_dict, md_dict)
        self.displayer.send("execute_result", data, metadata, hold=True)

    def quiet(self):
        return False  # the plain shell's rule decides


class _Publisher(DisplayPublisher):
    """Shows what display() is given."""

    displayer = Any()

    def publish(self, data, metadata=None, source=None, *, transient=None, update=False, **kwargs):
        self._validate_data(data, metadata)
        data, metadata = clean(data, metadata)
        kind = "update_display_data" if update else "display_data"
        self.displayer.send(kind, data, metadata, (transient or {}).get("display_id"))

    def clear_output(self, wait=False):
        """Says that what was shown is to go: clients that show output as it comes
        can do that."""
        self.displayer.clear(wait)


class _IPython(InteractiveShell):
    def system(self, cmd):
        """Runs a command; IPython's default gives it a terminal of its own."""
        run_command(self.var_expand(cmd, depth=1))

    def enable_gui(self, gui=None):
        """Does nothing: there is no screen, and so no event loop of one."""

    def _showtraceback(self, etype, evalue, stb):
        """Reports errors outside of cells: in formatters, callbacks, `%tb`."""
        sys.stderr.write("\n".join(errors.describe(evalue)["traceback"]) + "\n")


class IPythonShell(PlainShell):
    name = "ipython"

    def __init__(self, displayer):
        super().__init__(displayer)
        config = Config()
        # No database, and no thread that writes to it.
        config.HistoryManager.enabled = False
        config.HistoryAccessor.enabled = False
        # Jedi takes more memory than a session's own, and reads the disk.
        config.Completer.use_jedi = False
        # IPython's own are in builtins.
        del self.namespace["display"], self.namespace["update_display"]
        self._ip = ip = _IPython.instance(
            config=config,
            colors="nocolor",
            user_module=self.module,
            user_ns=self.namespace,
            displayhook_class=_Hook,
            display_pub_class=_Publisher,
        )
        ip.displayhook.displayer = ip.display_pub.displayer = displayer
        self.namespace["update_display"] = ip.user_ns_hidden["update_display"] = update_display
        for name in ("exit", "quit"):  # those of a terminal would end IPython
            self.namespace.pop(name, None)
        self._error = None

    def warm(self):
        # Formatters and their settings are made when they are first asked for.
        self._ip.display_formatter.format(0)
        self._ip.transform_cell("0\n")
        self._ip.history_manager.traits()

    @contextmanager
    def unseen(self):
        ip = self._ip
        history, hook = ip.history_manager, ip.displayhook
        kept = [
            (ip, ("execution_count", "last_execution_succeeded", "last_execution_result")),
            (history, ("_i", "_ii", "_iii", "_i00")),
            (hook, ("_", "__", "___", "text")),
        ]
        kept = [(o, name, getattr(o, name)) for o, names in kept for name in names]
        hidden = dict(ip.user_ns_hidden)
        try:
            with super().unseen():
                yield
        finally:
            for o, name, value in kept:
                setattr(o, name, value)
            for name in set(ip.user_ns_hidden) - set(hidden):
                del ip.user_ns_hidden[name]
            ip.user_ns_hidden.update(hidden)
            for inputs in (history.input_hist_parsed, history.input_hist_raw):
                del inputs[1:]
            history.output_hist.clear()
            history.output_hist_reprs.clear()

    def begin(self, code):
        history = self._ip.history_manager
        history.store_inputs(self._ip.execution_count, code)
        history.db_input_cache = []  # there is no database

    def complete(self, code, cursor):
        code = code[:cursor]  # what follows confuses the lookup of attributes
        with provisionalcompleter():
            found = list(rectify_completions(code, self._ip.Completer.completions(code, len(code))))
        names = completion.bounded(c.text for c in found)
        if not names:
            return [], cursor, cursor
        return names, found[0].start, found[0].end

    def completeness(self, code):
        return self._ip.check_complete(code)

    def run(self, code, filename):
        ip = self._ip
        info = ExecutionInfo(code, True, False, None, None)
        report = ExecutionResult(info)
        report.execution_count = ip.execution_count
        self._error = None
        ip.events.trigger("pre_execute")
        ip.events.trigger("pre_run_cell", info)
        with ip.display_trap:
            outcome = super().run(code, filename)
        if outcome.source == "expression":
            report.result = outcome.value
        report.error_in_exec = self._error
        ip.last_execution_succeeded = outcome.error is None
        ip.last_execution_result = report
        # Figures that the cell left are shown by one of these.
        ip.events.trigger("post_execute")
        ip.events.trigger("post_run_cell", report)
        ip.execution_count += 1
        return outcome

    def _parse(self, code, filename):
        """Only what isn't Python, or what the user's own transformers may
        change, goes through IPython's transformation."""
        ip = self._ip
        if not ip.input_transformers_post:
            try:
                source, tree = self._parse_python(code, filename)
                return source, ip.transform_ast(tree)
            except SyntaxError:
                pass
        code = ip.transform_cell(code)
        ip.history_manager.input_hist_parsed[-1] = code.rstrip("\n")
        source, tree = self._parse_python(code, filename)
        return source, ip.transform_ast(tree)

    def _failed(self, error, frames=True):
        self._error = error
        # For %tb and %debug.
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        return super()._failed(error, frames)

    def _show(self, value, suppressed):
        if suppressed:
            return safe_repr(value)
        hook = self._ip.displayhook
        hook.text = None
        hook(value)
        # The text shown is the repr, but for containers, which are laid out.
        if type(value) in PLAIN or not isinstance(hook.text, str):
            return safe_repr(value)
        return hook.text
