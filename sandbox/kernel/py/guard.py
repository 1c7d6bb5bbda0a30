"""Decides when a signal may interrupt the main thread.

SIGINT raises KeyboardInterrupt while user code runs, waits while the kernel's
own code runs inside user code (a print), and is ignored when nothing runs.
Other signals that have Python handlers are held back outside user code, since
a handler that raises (the usual signal.alarm time-out) would end the kernel.
"""

import signal

# Not signal's, which make members of enumerations of all that they are given.
from _signal import SIG_BLOCK, SIG_SETMASK, SIGINT, getsignal, pthread_sigmask
from _signal import signal as set_handler
from _thread import get_ident
from time import monotonic

# A second SIGINT within this many seconds of a raised one is dropped: it would
# hit the few instructions that handle the first.
REPEAT_SECONDS = 0.1

HELD = frozenset(
    int(getattr(signal, name))
    for name in (
        "SIGALRM",
        "SIGVTALRM",
        "SIGPROF",
        "SIGUSR1",
        "SIGUSR2",
        "SIGCHLD",
        "SIGHUP",
        "SIGTERM",
        "SIGQUIT",
        "SIGIO",
        "SIGCONT",
        "SIGWINCH",
    )
)


class Guard:
    def __init__(self):
        self.main = get_ident()
        self.depth = 0  # kernel code inside user code, main thread only
        self.user = False  # the main thread runs user code
        self.armed = False  # a request has arrived and is not answered
        self.pending = False  # a SIGINT that waits
        self.request_waits = bool  # whether a request has been sent to us
        self._raised_at = 0.0
        self._handler = self._on_sigint

    def start(self):
        """Takes SIGINT over, and holds back the others until user code runs."""
        self._mask = pthread_sigmask(SIG_BLOCK, ())
        set_handler(SIGINT, self._handler)
        pthread_sigmask(SIG_BLOCK, HELD)

    def _on_sigint(self, signum, frame):
        if self.user and not self.depth:
            if monotonic() - self._raised_at >= REPEAT_SECONDS:
                self._raised_at = monotonic()
                raise KeyboardInterrupt
        elif self.armed or self.request_waits():
            # It was sent after the request, and overtook it.
            self.pending = True

    def enter(self):
        """Begins kernel code; any thread may call it."""
        if get_ident() == self.main:
            self.depth += 1

    def leave(self):
        """Ends kernel code, and raises KeyboardInterrupt when one waited."""
        if get_ident() == self.main:
            self.depth -= 1
            if self.pending and self.depth <= 0:
                self.check()

    def check(self):
        """Raises KeyboardInterrupt when one waits for the main thread's code."""
        if self.pending and self.user and get_ident() == self.main:
            self.pending = False
            self._raised_at = monotonic()
            raise KeyboardInterrupt

    def call(self, function, *args):
        """Runs function as user code. Whatever it raises comes out."""
        try:
            # An exception from a user's signal handler can skip a leave().
            self.depth = 0
            self._raised_at = 0.0  # a SIGINT for this code is no repetition
            if getsignal(SIGINT) is not self._handler:
                set_handler(SIGINT, self._handler)
            self.user = True
            pthread_sigmask(SIG_SETMASK, self._mask)
            self.check()
            return function(*args)
        finally:
            self.outside()

    def outside(self):
        """Ends user code. Calling it twice does no harm."""
        self.user = False
        mask = pthread_sigmask(SIG_BLOCK, ())
        if not mask >= HELD:
            self._mask = mask
            pthread_sigmask(SIG_BLOCK, HELD)
