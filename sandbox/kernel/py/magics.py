"""The notebook's syntax for the plain shell: `!command`, `%magic`, `%%magic`.

Lines that aren't Python become calls of this module, in place, so that line
numbers stay. It knows the magics that programs use; IPython, where an image has
it, knows all.
"""

import io
import os
import re
import subprocess
import sys
import time
import timeit
from contextlib import redirect_stderr, redirect_stdout

NO_NETWORK = (
    "note: this session has no network: pip can only install files that are here. "
    "Packages can be put into the image: tcid image build --pip NAME\n"
)
_PIP = re.compile(r"\bpip[0-9.]*\s.*\b(install|download|wheel)\b")
_HERE = "__import__(%r).magics." % __name__
_LINE = re.compile(r"([ \t]*)((?:[\w., \t]+=)?[ \t]*)([!%])(.*)")
_EXPANDED = re.compile(r"\$\$|\$([A-Za-z_]\w*)|\{([^{}]+)\}")
# Of %%html and the like.
_MIME = {
    "html": "text/html",
    "latex": "text/latex",
    "markdown": "text/markdown",
    "svg": "image/svg+xml",
    "javascript": "application/javascript",
    "js": "application/javascript",
}

_shell = None


class UsageError(Exception):
    """A magic that isn't there, or was called wrongly."""


def connect(shell):
    """Has magics act on a shell from now on."""
    global _shell
    _shell = shell


# Rewriting.


def rewrite_cell(code):
    """The call that a cell with a cell magic stands for; None for others."""
    if not code.lstrip().startswith("%%"):
        return None
    head, _, body = code.lstrip().partition("\n")
    name, _, rest = head[2:].partition(" ")
    if body and not body.endswith("\n"):
        body += "\n"
    return "%scell(%r, %r, %r)" % (_HERE, name, rest.strip(), body)


def rewrite_line(code, number):
    """The code with one line, counted from 1, made a call; None where that line
    is no command or magic."""
    lines = code.split("\n")
    match = _LINE.fullmatch(lines[number - 1]) if number and number <= len(lines) else None
    if match is None:
        return None
    indent, target, kind, text = match.groups()
    end = number
    while text.endswith("\\") and end < len(lines):
        text = text[:-1] + lines[end]
        end += 1
    if kind == "!":
        call = "%s(%r)" % ("getoutput" if target.strip() else "system", text.strip())
    else:
        name, _, rest = text.strip().partition(" ")
        call = "line(%r, %r)" % (name, rest.strip())
    lines[number - 1 : end] = [indent + target + _HERE + call] + [""] * (end - number)
    return "\n".join(lines)


# Commands.


def _expand(text, frame):
    """Puts variables in the place of $name and {expression}, as IPython does:
    all of them, or none, since then they are the shell's own."""

    def value(match):
        name, expression = match.groups()
        if name is None and expression is None:
            return "$"
        return str(eval(name or expression, frame.f_globals, frame.f_locals))

    try:
        return _EXPANDED.sub(value, text)
    except Exception:
        return text


def system(command):
    run_command(_expand(command, sys._getframe(1)))


def run_command(command):
    """Runs a command of the shell's. Its output goes to the streams that the
    kernel captures."""
    _shell.namespace["_exit_code"] = status = subprocess.call(command, shell=True)
    # Says why a pip that failed could not do better.
    if status and os.environ.get("TCID_NETWORK") == "none" and _PIP.search(command):
        sys.stderr.write(NO_NETWORK)


def getoutput(command):
    """A command's standard output, as a list of lines."""
    command = _expand(command, sys._getframe(1))
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE)
    _shell.namespace["_exit_code"] = done.returncode
    return done.stdout.decode("utf-8", "replace").splitlines()


# Magics.


def line(name, rest):
    function = _LINE_MAGICS.get(name)
    if function is None:
        raise UsageError("Line magic function `%%%s` not found; an image with IPython has more." % name)
    if name not in ("time", "timeit"):
        rest = _expand(rest, sys._getframe(1))
    return function(rest)


def cell(name, rest, body):
    if name in _MIME:
        _shell.displayer.display({_MIME[name]: body}, raw=True)
        return None
    function = _CELL_MAGICS.get(name)
    if function is None:
        raise UsageError("Cell magic `%%%%%s` not found; an image with IPython has more." % name)
    return function(rest, body)


def _cd(rest):
    os.chdir(os.path.expanduser(rest.strip("\"'") or "~"))
    print(os.getcwd())


def _env(rest):
    if not rest:
        return dict(os.environ)
    name, given, value = rest.partition("=")
    if not given:
        name, given, value = rest.partition(" ")
    if not given:
        if name not in os.environ:
            raise UsageError("Environment does not have key: " + name)
        return os.environ[name]
    os.environ[name.strip()] = value.strip()
    print("env: %s=%s" % (name.strip(), value.strip()))
    return None


def _seconds(value):
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return "%.3g %s" % (value / size, unit)
    return "%.3g ns" % (value / 1e-9)


def _time(code, body=None):
    begin, cpu = time.perf_counter(), time.process_time()
    try:
        return _shell.evaluate(code if body is None else code + "\n" + body, "<timed>")
    finally:
        print("CPU times: " + _seconds(time.process_time() - cpu))
        print("Wall time: " + _seconds(time.perf_counter() - begin))


def _timeit(code, body=None):
    timer = timeit.Timer(code if body is None else body, code if body else "pass", globals=_shell.namespace)
    number, _ = timer.autorange()
    best = min(timer.repeat(5, number)) / number
    print("%s per loop (best of 5 runs, %d loops each)" % (_seconds(best), number))


def _run(rest):
    words = rest.split()
    if not words:
        raise UsageError("%run needs the name of a file")
    with open(words[0], encoding="utf-8") as f:
        source = f.read()
    before, sys.argv = sys.argv, words
    try:
        exec(compile(source, words[0], "exec", dont_inherit=True), _shell.namespace)
    finally:
        sys.argv = before


class Captured:
    """What %%capture NAME leaves in NAME."""

    def __init__(self, stdout, stderr):
        self.stdout, self.stderr = stdout, stderr

    def __str__(self):
        return self.stdout

    def show(self):
        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)


def _capture(name, body):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        _shell.evaluate(body, "<captured>")
    if name:
        _shell.namespace[name] = Captured(out.getvalue(), err.getvalue())


def _writefile(rest, body):
    words = rest.split()
    append = "-a" in words
    names = [w for w in words if w not in ("-a", "--append")]
    if len(names) != 1:
        raise UsageError("%%writefile needs the name of one file")
    doing = "Appending to" if append else "Overwriting" if os.path.exists(names[0]) else "Writing"
    print(doing, names[0])
    with open(names[0], "a" if append else "w", encoding="utf-8") as f:
        f.write(body)


def _script(shell):
    return lambda rest, body: _script_run([shell, *rest.split()], body)


def _script_run(command, body):
    done = subprocess.run(command, input=body.encode())
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command)


_LINE_MAGICS = {
    "cd": _cd,
    "env": _env,
    "set_env": _env,
    "ls": lambda rest: run_command("ls " + rest),
    "matplotlib": lambda rest: None,  # figures are shown anyway
    "pip": lambda rest: run_command('"%s" -m pip %s' % (sys.executable, rest)),
    "pwd": lambda rest: os.getcwd(),
    "run": _run,
    "time": _time,
    "timeit": _timeit,
}
_CELL_MAGICS = {
    "bash": _script("bash"),
    "capture": _capture,
    "sh": _script("sh"),
    "time": _time,
    "timeit": _timeit,
    "writefile": _writefile,
}
