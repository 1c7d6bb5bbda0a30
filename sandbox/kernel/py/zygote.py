"""The zygote: imports what the sessions of an image use, then forks kernels.

It has one thread, reads orders from the daemon, one packet each, and hands
them to fork.so (sandbox/container/init/fork.c), which knows what is in them but for
the number of threads that a kernel's libraries shall use.
What the daemon gets is JSON, one packet each:

    {"type":"hello","protocol":1,"python":"3.11.7","shell":"ipython",
     "preloaded":["numpy"],"failed":{"torch":"ImportError: …"}}
    {"type":"exit","pid":4711,"status":9}

hello once for each connection, exit for each kernel that ended: its process id
as the host counts, and its wait status. Kernels are the zygote's to reap, since
the process between the two is gone. What became of an order is told on the
order's own socket.
"""

import ctypes
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
from collections import deque
from importlib import import_module

from . import threads
from .server import make_shell

PROTOCOL = 1
ORDER_BYTES = 64 << 10
MAX_DESCRIPTORS = 32
THREADS_OFFSET = 36  # in struct order of fork.c
# What a kernel is told when it may begin: its environment, mostly.
MESSAGE_BYTES = 128 << 10
# Ends of kernels that nobody was there to be told of.
KEPT_EXITS = 4096
ERROR_CHARS = 500


class Library:
    """fork.so, and what Python wants done around a fork."""

    def __init__(self, path, filter_path):
        # PyDLL: the interpreter's lock stays with the thread that forks.
        lib = ctypes.PyDLL(path)
        prepare = lib.prepare
        prepare.argtypes, prepare.restype = [ctypes.c_char_p], ctypes.c_int
        if prepare(filter_path.encode()) != 0:
            raise OSError("can't prepare to fork kernels")
        self._spawn = lib.spawn
        self._spawn.argtypes = [
            ctypes.c_char_p,
            ctypes.c_ulong,
            ctypes.POINTER(ctypes.c_int),
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_ulong,
        ]
        self._spawn.restype = ctypes.c_long
        api = ctypes.pythonapi
        self._before = api.PyOS_BeforeFork
        self._after_parent = api.PyOS_AfterFork_Parent
        self._after_child = api.PyOS_AfterFork_Child
        for function in (self._before, self._after_parent, self._after_child):
            function.argtypes, function.restype = [], None
        self._message = ctypes.create_string_buffer(MESSAGE_BYTES)
        self._view = memoryview(self._message).cast("B")

    def spawn(self, order, fds):
        """Forks a kernel. Returns None in the zygote, and what the daemon told
        the kernel in the kernel."""
        array = (ctypes.c_int * len(fds))(*fds)
        self._before()
        length = self._spawn(order, len(order), array, len(fds), self._message, MESSAGE_BYTES)
        if length:
            self._after_child()
            return self._view[1:length].tobytes()
        self._after_parent()
        return None


class Zygote:
    def __init__(self, listen_fd, library, filter_path, preload):
        self.pid = os.getpid()
        self._listener = socket.socket(fileno=listen_fd)
        self._listener.setblocking(False)
        self._library = Library(library, filter_path)
        # The shell first: it has a say in how some modules are imported.
        self.shell = make_shell()
        self._preloaded, self._failed, self._libraries = [], {}, []
        self.shell.warm()
        for name in preload:
            self._import(name)
        self.counters = threads.find()
        self.threads = 1
        counts = ("_NUM_THREADS", "_CPU_COUNT")
        self._thread_variables = [name for name in os.environ if name.endswith(counts)]
        self._conn = None
        self._exits = deque(maxlen=KEPT_EXITS)
        self._wake, wake = os.pipe()
        for fd in (self._wake, wake):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def freeze(self):
        """Called before run, when all is there that kernels share."""
        # What is here now is shared with all kernels as long as nobody writes to
        # it, which the collector would.
        gc.collect()
        gc.freeze()
        gc.disable()

    def _import(self, name):
        self._load_libraries(name.partition(".")[0])
        try:
            import_module(name)
            self._preloaded.append(name)
        except BaseException as e:  # a package may try to exit
            self._failed[name] = ("%s: %s" % (type(e).__name__, e))[:ERROR_CHARS]

    def _load_libraries(self, package):
        """Loads the libraries that a wheel brings, under their real names: the
        session has another mount, so that the loader knows a file again by the name
        that it was loaded under, and not by its inode. Else who asks for it, as
        threadpoolctl does, gets none, or a second one."""
        for place in sys.path:
            folder = os.path.realpath(os.path.join(place, package + ".libs"))
            if not os.path.isdir(folder):
                continue
            for file in sorted(os.listdir(folder)):
                if ".so" in file:
                    try:
                        self._libraries.append(ctypes.CDLL(os.path.join(folder, file)))
                    except OSError:
                        pass  # the import says what is wrong with it

    def run(self):
        """Serves the daemon. Returns in kernels only: what they were told."""
        while True:
            conn = self._conn
            poll = select.poll()
            poll.register(self._wake, select.POLLIN)
            poll.register(self._listener if conn is None else conn, select.POLLIN)
            ready = dict(poll.poll())
            if self._wake in ready:
                self._reap()
            if conn is None:
                if self._listener.fileno() in ready:
                    self._accept()
            elif conn.fileno() in ready:
                message = self._order(conn)
                if message is not None:
                    # Their descriptors are closed here, and others' by now.
                    self._listener.detach()
                    conn.detach()
                    return message

    def _accept(self):
        try:
            self._conn, _ = self._listener.accept()
        except OSError:
            return
        self._conn.setblocking(True)
        hello = {
            "type": "hello",
            "protocol": PROTOCOL,
            "python": "%d.%d.%d" % sys.version_info[:3],
            "shell": self.shell.name,
            "preloaded": self._preloaded,
            "failed": self._failed,
        }
        if self._send(hello):
            self._tell_exits()

    def _order(self, conn):
        """Takes one order; returns a message in the kernel that it made."""
        try:
            order, control, _, _ = conn.recvmsg(
                ORDER_BYTES, socket.CMSG_SPACE(MAX_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC
            )
        except OSError:
            order, control = b"", []
        fds = []
        for level, kind, data in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                whole = len(data) - len(data) % 4
                fds.extend(memoryview(data[:whole]).cast("i"))
        message = None
        try:
            if not order:
                self._lost()
            elif fds:
                self._expect_threads(order)
                message = self._library.spawn(order, fds)
        finally:
            if message is None:  # in the kernel they are closed, or others'
                for fd in fds:
                    os.close(fd)
        return message

    def _expect_threads(self, order):
        """Sets in our environment how many threads the kernel's libraries shall
        use: most kernels want the same, and so need not change their own."""
        (count,) = struct.unpack_from("=I", order, THREADS_OFFSET)
        if count != self.threads:
            self.threads = count
            for name in self._thread_variables:
                os.environ[name] = str(count)

    def _reap(self):
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self._exits.append({"type": "exit", "pid": pid, "status": status})
        self._tell_exits()

    def _tell_exits(self):
        while self._conn is not None and self._exits and self._send(self._exits[0]):
            self._exits.popleft()

    def _send(self, message):
        try:
            self._conn.send(json.dumps(message).encode("utf-8", "replace"), socket.MSG_NOSIGNAL)
        except OSError:
            self._lost()
            return False
        return True

    def _lost(self):
        if self._conn is not None:
            self._conn.close()
            self._conn = None
