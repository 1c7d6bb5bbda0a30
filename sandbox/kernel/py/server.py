"""The kernel's main thread: takes requests one at a time and answers them."""

import gc
import os
import socket
import sys
import traceback
import warnings
from site import getusersitepackages

from . import completion, errors
from .channel import Channel
from .display import Displayer
from .guard import Guard
from .inputs import Inputs, InvalidRequest
from .loop import Loop, Wake
from .output import Output, text_stream, write_all
from .shell import Outcome, find_shell
from .values import lossless

# Python 3.12 and later warn at every fork because of the io thread.
warnings.filterwarnings("ignore", r".*multi-threaded, use of (fork|forkpty)\(\)", DeprecationWarning)
EXIT_CHILD_ERROR = 1
# Where fork.so puts what the kernels that it makes begin with.
KERNEL_LISTEN_FD, KERNEL_CONNECTION_FD = 3, 4


def make_shell():
    """A shell whose output goes nowhere until a server takes it."""
    return find_shell()(Displayer())


class Server:
    """One kernel. Making one takes no descriptors, threads or signals: a zygote
    makes it, and its children start it."""

    def __init__(self, shell, old_main):
        self._shell = shell
        self._old_main = old_main  # its globals must outlive the replacement
        self._guard = Guard()
        self._wake, self._wake_main = Wake(), Wake()
        self._channel = Channel(self._guard, self._wake, self._wake_main, shell.name)
        self._output = Output(self._guard, self._channel)
        self._inputs = Inputs()
        self._streams = text_stream(self._output, 0), text_stream(self._output, 1)
        self._loop = Loop(self._channel, self._output, self._wake, self._wake_main)
        self._guard.request_waits = self._loop.request_waits
        self._count = 0

    def start(self, listen_fd, connection_fd=None):
        """Listens for the daemon, or begins with a connection to it."""
        self._listener = self._loop.listener = socket.socket(fileno=listen_fd)
        self._listener.set_inheritable(False)
        self._listener.setblocking(False)
        self._guard.start()
        self._wake.open()
        self._wake_main.open()
        self._output.open()
        self._inputs.open()
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = self._streams
        self._shell.displayer.emit = self._output.emit
        # Only now: what lies in the workspace must not shadow what the kernel and
        # IPython import. The last is where pip installs to when a user may not
        # write to the image.
        self._user_site = getusersitepackages()
        sys.path[:] = ["", *sys.path, self._user_site]
        self._pid = os.getpid()
        os.register_at_fork(after_in_child=self._after_fork)
        if connection_fd is not None:
            self._channel.begin(socket.socket(fileno=connection_fd))

    def _after_fork(self):
        """In a forked child: it writes to the real descriptors and must hold
        none of the kernel's, or the daemon could not see the kernel end."""
        output = self._output
        if output.forked:
            return
        output.forked = True
        output.chunks.clear()
        self._hang_up()

    def _hang_up(self):
        for s in (self._listener, self._channel.conn):
            if s is not None and s.fileno() >= 0:
                os.close(s.detach())
        for fd in self._output.pipes:
            os.close(fd)
        self._wake.close()
        self._wake_main.close()

    def rehearse(self):
        """Answers one request, without an io thread."""
        self._loop.alone = False
        self._answer(self._loop.next_request())

    def close(self):
        """Gives back the descriptors of a server that has rehearsed."""
        self._hang_up()
        self._output.close()
        self._inputs.close()

    def run(self):
        request = None
        while True:
            try:
                request = self._loop.next_request()
                self._answer(request)
            except BaseException as e:
                # Memory ran out, or a user's signal handler raised out of turn.
                self._guard.outside()
                self._leave_child(EXIT_CHILD_ERROR)
                self._give_up(request, e)

    def _give_up(self, request, error):
        """Answers a request whose answer failed."""
        if request is None or self._channel.active_seq or not self._guard.armed:
            return
        number = int(request["id"])
        try:
            kind = request["type"]
            if kind == "execute":
                self._finish_execute(number, self._bare(error))
            elif kind == "condition":
                self._finish_condition(number, ("runtime_error", type(error).__name__))
            elif kind == "complete":
                self._finish_complete(number, ([], 0, 0))
            else:
                self._finish_is_complete(number, ("invalid", ""))
        except BaseException:
            os._exit(70)  # better a dead kernel than one that never answers

    def _answer(self, request):
        kind, number = request["type"], int(request["id"])
        self._output.begin()
        if kind == "execute":
            self._finish_execute(number, self._execute(request))
        elif kind == "condition":
            self._finish_condition(number, self._condition(request))
        elif kind == "complete":
            self._finish_complete(number, self._complete(request))
        else:
            self._finish_is_complete(number, self._is_complete(request))

    def _as_user(self, function, *args):
        """Runs function as user code, whatever comes: returns its answer, or
        the exception that ended it."""
        try:
            answer = self._guard.call(function, *args)
        except BaseException as e:
            self._guard.outside()
            answer = e
        return answer

    def _execute(self, request):
        self._count += 1
        filename = request.get("filename") or "<cell %d>" % self._count
        try:
            self._inputs.apply(request)
            self._refresh_imports()
            self._shell.begin(request["code"])
            outcome = self._as_user(self._shell.run, request["code"], filename)
        except InvalidRequest as e:
            outcome = Outcome("error", errors.event(*e.args))
        finally:
            self._inputs.restore()
        if isinstance(outcome, BaseException):
            # It struck outside the shell's own handling: in the formatting of
            # another error, or between two instructions.
            outcome = self._bare(outcome)
        self._leave_child(0, outcome.error)
        return outcome

    def _bare(self, error):
        interrupted = isinstance(error, KeyboardInterrupt)
        return Outcome("interrupted" if interrupted else "error", errors.bare(error))

    def _refresh_imports(self):
        """Lets import see files that came since: the cache compares times that
        can be as coarse as a clock tick."""
        finders = sys.path_importer_cache
        if finders.get(self._user_site) is None:
            finders.pop(self._user_site, None)  # it may be there by now
        try:
            finder = finders.get(os.getcwd())
        except OSError:
            return
        if finder is not None and hasattr(finder, "invalidate_caches"):
            finder.invalidate_caches()

    def _finish_execute(self, number, outcome):
        if outcome.error:
            self._output.emit(outcome.error, hold=True)
        done = {"type": "done", "id": number, "status": outcome.status}
        plain, value = lossless(outcome.value) if outcome.source != "none" else (False, None)
        if plain:
            done["result"] = value
        done["result_json"] = plain
        done["result_repr"] = outcome.text
        done["result_source"] = outcome.source
        self._finish(done, number)

    def _condition(self, request):
        verdict = self._as_user(self._shell.condition, request["expr"], request["stdout"], request["stderr"])
        if isinstance(verdict, KeyboardInterrupt):
            verdict = "interrupted", "KeyboardInterrupt"
        elif isinstance(verdict, BaseException):
            verdict = "runtime_error", type(verdict).__name__
        self._leave_child(0)
        return verdict

    def _finish_condition(self, number, verdict):
        status, message = verdict
        self._finish({"type": "verdict", "id": number, "status": status, "message": message}, number)

    def _complete(self, request):
        code, cursor = request["code"], int(request["cursor"])
        answer = self._as_user(self._shell.complete, code, cursor)
        self._leave_child(0)
        return ([], cursor, cursor) if isinstance(answer, BaseException) else answer

    def _finish_complete(self, number, answer):
        names, start, end = answer
        answer = {"type": "completions", "id": number, "matches": names, "start": start, "end": end}
        self._finish(answer, number)

    def _is_complete(self, request):
        answer = self._as_user(self._shell.completeness, request["code"])
        self._leave_child(0)
        if isinstance(answer, BaseException):
            return "invalid", ""
        status, indent = answer
        return status, indent[: completion.MAX_INDENT]

    def _finish_is_complete(self, number, answer):
        status, indent = answer
        self._finish({"type": "completeness", "id": number, "status": status, "indent": indent}, number)

    def _finish(self, message, number):
        self._output.emit(message, final=number)

    # Children that user code forked and let run on.

    def _leave_child(self, status, error=None):
        """Ends a forked child where its user code ended: there is one kernel."""
        if os.getpid() == self._pid:
            return
        if error and error["name"] == "SystemExit":
            text = error["value"]
            status = int(text) & 0xFF if text.isdigit() else int(text not in ("", "None"))
        elif error:
            status = EXIT_CHILD_ERROR
            try:
                write_all(2, ("\n".join(error["traceback"]) + "\n").encode("utf-8", "replace"))
            except OSError:
                pass
        os._exit(status)


def serve(listen_fd, old_main):
    """Runs a kernel; returns never."""
    os.umask(0o022)
    _run(lambda: Server(make_shell(), old_main), listen_fd)


def _run(make, *fds):
    try:
        server = make()
        server.start(*fds)
    except BaseException:
        traceback.print_exc()
        os._exit(70)
    server.run()


def serve_forked(listen_fd, library, filter_path, preload, old_main):
    """Runs a zygote; returns never. In each of its children, runs the kernel."""
    from . import atfork, renew, threads, zygote
    from .rehearsal import rehearse

    parent = zygote.Zygote(listen_fd, library, filter_path, preload)
    rehearse(parent.shell, lambda shell: Server(shell, old_main))
    server = Server(parent.shell, old_main)
    parent.freeze()
    cwd, *variables = parent.run().split(b"\0")
    # From here on in a kernel. What runs here is little: each object that Python
    # looks at is written to, and its page copied.
    atfork.restore()
    if variables:
        renew.environment(variables)
    renew.directory(cwd)
    renew.identity(parent.pid)
    if parent.counters:
        threads.set_all(parent.counters, parent.threads)
    gc.enable()
    _run(lambda: server, KERNEL_LISTEN_FD, KERNEL_CONNECTION_FD)
