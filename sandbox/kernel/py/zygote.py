"""The zygote: imports what the sessions of an image use, then forks kernels.

It has one thread, in which fork.so (sandbox/container/init) takes orders from the
daemon, one packet each. What the daemon gets is JSON, one packet each:

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
import sys
from importlib import import_module

from . import threads
from .server import make_shell

PROTOCOL = 1
# What a kernel is told when it may begin: its environment, mostly.
MESSAGE_BYTES = 128 << 10
ERROR_CHARS = 500


class Library:
    """fork.so."""

    def __init__(self, path, filter_path):
        # PyDLL: the interpreter's lock stays with the thread that forks.
        lib = ctypes.PyDLL(path)
        lib.prepare.argtypes, lib.prepare.restype = [ctypes.c_char_p], ctypes.c_int
        if lib.prepare(filter_path.encode()) != 0:
            raise OSError("can't prepare to fork kernels")
        self._serve = lib.serve
        self._serve.argtypes = [
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_ulong,
            ctypes.c_uint,
            ctypes.c_char_p,
            ctypes.c_ulong,
        ]
        self._serve.restype = ctypes.c_long
        self.wanted_threads = lib.wanted_threads
        self.wanted_threads.argtypes, self.wanted_threads.restype = [], ctypes.c_uint
        self._message = ctypes.create_string_buffer(MESSAGE_BYTES)
        self._view = memoryview(self._message).cast("B")

    def serve(self, listen_fd, hello, threads):
        """Serves the daemon. Returns in kernels: what they were told; and None in the
        zygote when a kernel shall use another number of threads."""
        length = self._serve(listen_fd, hello, len(hello), threads, self._message, MESSAGE_BYTES)
        if length < 0:
            raise OSError("can't watch for the ends of kernels")
        return self._view[1:length].tobytes() if length else None


class Zygote:
    def __init__(self, listen_fd, library, filter_path, preload):
        self.pid = os.getpid()
        self._listen_fd = listen_fd
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
        hello = {
            "type": "hello",
            "protocol": PROTOCOL,
            "python": "%d.%d.%d" % sys.version_info[:3],
            "shell": self.shell.name,
            "preloaded": self._preloaded,
            "failed": self._failed,
        }
        hello = json.dumps(hello).encode("utf-8", "replace")
        while True:
            message = self._library.serve(self._listen_fd, hello, self.threads)
            if message is not None:
                return message
            # In our environment: most kernels want the same, and so need not change
            # their own.
            self.threads = self._library.wanted_threads()
            for name in self._thread_variables:
                os.environ[name] = str(self.threads)
