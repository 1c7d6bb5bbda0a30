"""The two threads' waiting. The main thread, when idle, waits for requests
itself: a wake-up is what costs most. The io thread begins with the first request,
and does the rest: it accepts the daemon, drains the pipes, sends what could not be
sent at once, and reads acknowledgements while the main thread runs user code. It
runs no user code but stray finalizers, and sleeps through short executions."""

import _thread
import os
import select
from _signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask, valid_signals
from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT

# The io thread's first sleep. Whatever is over by then has cost it nothing; it is
# as long as output may wait.
REST_MS = 20


class Wake:
    """A pipe that ends a thread's poll."""

    def open(self):
        self.read, self._write = os.pipe()
        os.set_blocking(self.read, False)
        os.set_blocking(self._write, False)

    def __call__(self):
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            pass  # it is awake already

    def clear(self):
        try:
            os.read(self.read, 4096)
        except BlockingIOError:
            pass

    def close(self):
        os.close(self.read)
        os.close(self._write)


class Loop:
    def __init__(self, channel, output, wake, wake_main):
        self.channel = channel
        self.output = output
        self.wake = wake
        self.wake_main = wake_main
        self.alone = True  # there is no io thread yet

    def _start(self):
        """Starts the io thread."""
        rest = select.poll()
        rest.register(self.wake.read, POLLIN)
        self.channel.resting = True
        self.alone = False
        # Signals are for the main thread: in this one they would not end its
        # system calls.
        mask = pthread_sigmask(SIG_BLOCK, valid_signals())
        try:
            # Not threading.Thread: threading.enumerate() shows the user's own.
            self.channel.io_thread = _thread.start_new_thread(self._run, (rest.poll,))
        except BaseException:
            os._exit(70)  # better a dead kernel than one that nobody can reach
        pthread_sigmask(SIG_SETMASK, mask)

    def _run(self, rest):
        rest(REST_MS)
        self.channel.resting = False
        while True:
            try:
                self._turn()
            except Exception:
                # Out of memory, most likely: the next turn finds it all again.
                continue

    def _turn(self):
        channel, output = self.channel, self.output
        with channel.lock:
            timeout = output.tick()
            poll = select.poll()
            poll.register(self.wake.read, POLLIN)
            if output.wants_pipes():
                for fd in output.pipes:
                    poll.register(fd, POLLIN)
            if channel.conn is None:
                poll.register(self.listener, POLLIN)
            else:
                # Without events poll still reports that the daemon is gone.
                poll.register(
                    channel.conn,
                    (POLLIN if channel.reads_acks() else 0) | (POLLOUT if channel.blocked else 0),
                )
        ready = dict(poll.poll(None if timeout is None else int(timeout * 1000) + 1))
        if self.wake.read in ready:
            self.wake.clear()
        with channel.lock:
            if any(fd in ready for fd in output.pipes):
                output.drained()
            conn = channel.conn
            if conn is None:
                self._accept(ready.get(self.listener.fileno(), 0))
            else:
                events = ready.get(conn.fileno(), 0)
                if events & (POLLIN | POLLHUP | POLLERR | POLLNVAL):
                    channel.receive()
                if events & POLLOUT:
                    channel.pump()

    def next_request(self):
        """Waits for a request; in the main thread."""
        channel = self.channel
        while True:
            with channel.lock:
                if channel.requests:
                    if self.alone:
                        self._start()
                    return channel.requests.popleft()
                conn = channel.conn if channel.ready or self.alone else None
                poll = select.poll()
                poll.register(self.wake_main.read, POLLIN)
                if conn is not None:
                    poll.register(conn, POLLIN)
                elif self.alone:
                    poll.register(self.listener, POLLIN)
            ready = dict(poll.poll())
            if self.wake_main.read in ready:
                self.wake_main.clear()
            with channel.lock:
                if conn is None:
                    if self.alone:
                        self._accept(ready.get(self.listener.fileno(), 0))
                elif channel.conn is conn and conn.fileno() in ready:
                    channel.receive()
                    if not channel.requests:
                        channel.guard.pending = False

    def request_waits(self):
        """Whether the daemon has sent something that nobody has read."""
        conn = self.channel.conn
        if conn is None:
            return False
        poll = select.poll()
        try:
            poll.register(conn, POLLIN)
            return bool(poll.poll(0))
        except (OSError, ValueError):  # closed meanwhile
            return False

    def _accept(self, events):
        if events & (POLLNVAL | POLLERR) or self.listener.fileno() < 0:
            # User code closed the descriptor: nobody can reach us any more.
            os._exit(70)
        if events & POLLIN:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.channel.connected(conn)
