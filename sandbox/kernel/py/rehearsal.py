"""A zygote's rehearsal: it answers requests itself before it forks kernels.

What an interpreter finds out as it runs code the first times (which class a method
is of, how an instruction is best done) it writes into memory that a zygote shares
with its kernels. Without this each kernel would find it out anew, and have a copy
made of each page that it writes that to.
"""

import os
import socket
import sys
from _signal import SIG_BLOCK, SIG_SETMASK, SIGINT, getsignal, pthread_sigmask
from _signal import signal as set_handler
from contextlib import contextmanager

from .channel import encode, frame

# Interpreters adapt an instruction after some eight times, and may err once.
ROUNDS = 32
CODE = "print(1 + 1)\n1 + 1"
ANSWER_BYTES = 64 << 10


def rehearse(shell, make_server):
    """Has a server answer requests and takes back what a user could see of it."""
    ours, theirs = socket.socketpair()
    with ours, shell.unseen(), _process_unseen():
        server = make_server(shell)
        server.start(os.dup(ours.fileno()), theirs.detach())
        try:
            for number in range(1, ROUNDS + 1):
                ours.send(frame(encode({"type": "execute", "id": number, "code": CODE})))
                server.rehearse()
                ours.recv(ANSWER_BYTES)
        finally:
            server.close()


@contextmanager
def _process_unseen():
    """Restores what a server changes in its process."""
    names = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
    streams = {name: getattr(sys, name) for name in names}
    descriptors = {fd: os.dup(fd) for fd in (0, 1, 2)}
    path, finders = list(sys.path), set(sys.path_importer_cache)
    handler, mask = getsignal(SIGINT), pthread_sigmask(SIG_BLOCK, ())
    register = os.register_at_fork

    def register_others(**functions):
        if not any(getattr(f, "__module__", None) == __package__ + ".server" for f in functions.values()):
            register(**functions)

    os.register_at_fork = register_others
    try:
        yield
    finally:
        os.register_at_fork = register
        set_handler(SIGINT, handler)
        pthread_sigmask(SIG_SETMASK, mask)
        sys.path[:] = path
        for name in set(sys.path_importer_cache) - finders:
            del sys.path_importer_cache[name]
        for fd, copy in descriptors.items():
            os.dup2(copy, fd)
            os.close(copy)
        for name, stream in streams.items():
            setattr(sys, name, stream)
