"""stdout and stderr, captured at the file descriptors.

Descriptors 1 and 2 are pipes that the kernel reads itself, so subprocesses and
C code are heard. sys.stdout and sys.stderr bypass the pipes, but first drain
them: what synchronous code writes keeps its order, whatever way it takes.
"""

import codecs
import fcntl
import io
import os
import select
import sys
from _thread import get_ident
from collections import deque
from time import monotonic

from .channel import encode

NAMES = ("stdout", "stderr")
EVENT = -1  # in the place of a stream: an encoded event
PIPE_BYTES = 1 << 20
READ_BYTES = 64 << 10
# Reads of one pipe in a row: a fast background process must not hold us.
READS = 32
# Buffered output leaves at this size, or after this time, or before an event.
FLUSH_BYTES = 32 << 10
FLUSH_SECONDS = 0.02
# One event holds at most about this much text.
TEXT_BYTES = 256 << 10
# The daemon accepts frames of 24 MiB; the number of the event comes on top.
MAX_EVENT = (24 << 20) - 64
# Output between executions waits for the next one; more than this blocks.
IDLE_BYTES = 1 << 20


class Output:
    """The two streams. The channel's lock guards it."""

    def __init__(self, guard, channel):
        self.guard = guard
        self.channel = channel
        self.lock = channel.lock
        self.forked = False  # this is a child of the kernel
        self.running = False  # a request is being answered
        self.chunks = deque()  # (stream or EVENT, bytes), not yet numbered
        self.size = 0
        self.deadline = 0.0  # when the io thread must flush; 0: nothing to do
        decoder = codecs.getincrementaldecoder("utf-8")
        self.decoders = [decoder("replace"), decoder("replace")]
        self.pipes = []
        self._spare = []

    def open(self):
        """Puts pipes in the place of descriptors 1 and 2."""
        self._poll = select.poll()
        for fd in (1, 2):
            read, write = os.pipe()  # close-on-exec
            try:
                fcntl.fcntl(read, fcntl_setpipe_sz, PIPE_BYTES)
            except OSError:
                pass  # over the user's share of pipe memory: the default does
            os.set_blocking(read, False)
            os.dup2(write, fd)
            # A spare write end: code that closes descriptor 1 must not make
            # the read end report a hang-up for ever.
            self._spare.append(write)
            self.pipes.append(read)
            self._poll.register(read, select.POLLIN)

    def close(self):
        for fd in self._spare:
            os.close(fd)

    def write(self, stream, data):
        """Takes bytes that Python code wrote to a stream."""
        if self.forked:
            return write_all(stream + 1, data)
        if self.lock._is_owned() and self._nested():
            # A finalizer prints in the middle of the code below. Only this one
            # step leaves that code's state whole.
            self.chunks.append((stream, data))
            return
        guard, channel = self.guard, self.channel
        guard.enter()
        try:
            for start in range(0, len(data), TEXT_BYTES):
                piece = data if len(data) <= TEXT_BYTES else data[start : start + TEXT_BYTES]
                if channel.full():
                    channel.wait_for_room()
                if not self.running and self.size >= IDLE_BYTES:
                    self._wait_for_request()
                with self.lock:
                    if self._poll.poll(0):
                        self.drain()
                    self.chunks.append((stream, piece))
                    self.size += len(piece)
                    self._written()
        finally:
            guard.leave()

    def emit(self, message, final=0, hold=False):
        """Sends an event after all output so far. final is the id of the
        request that it answers; hold says that another event follows at once.
        Returns False when the event is too large to be sent."""
        if self.forked:
            return True
        body = encode(message)
        if len(body) > MAX_EVENT:
            return False
        if self.lock._is_owned() and self._nested():
            self.chunks.append((EVENT, body))
            return True
        guard, channel = self.guard, self.channel
        guard.enter()
        try:
            channel.wait_for_room()
            with self.lock:
                if self._poll.poll(0):
                    self.drain()
                self.flush(bool(final))
                channel.append(body, final)
                if final:
                    self.running = False
                    guard.armed = guard.pending = False
                    channel.pump()
                elif not hold:
                    self._arm()
        finally:
            guard.leave()
        return True

    def _nested(self):
        """Whether this thread, which holds the lock, is in the middle of write
        or emit. If not, a user's signal handler raised just before a with
        statement gave the lock back (bpo-29988): that is made good."""
        frame = sys._getframe(2)
        while frame is not None:
            if frame.f_code in (Output.write.__code__, Output.emit.__code__):
                return True
            frame = frame.f_back
        while self.lock._is_owned():
            self.lock.release()
        return False

    def begin(self):
        """Starts an execution: output counts as its own from now on."""
        with self.lock:
            self.running = True
            if self.chunks:
                self._arm()
            self.channel.room.notify_all()
            if self.size >= IDLE_BYTES:
                self.channel.wake()  # the io thread had stopped reading the pipes

    # The caller holds the lock from here on.

    def drain(self):
        """Moves what is in the pipes to the buffer."""
        for stream, fd in enumerate(self.pipes):
            try:
                for _ in range(READS):
                    before = len(self.chunks)
                    # Read and kept in one C call: no exception comes between.
                    self.chunks.extend(zip((stream,), map(os.read, (fd,), (READ_BYTES,))))
                    if len(self.chunks) > before:
                        size = len(self.chunks[-1][1])
                        self.size += size
                        if size < READ_BYTES:
                            break
            except BlockingIOError:
                pass

    def drained(self):
        """As drain, from the io thread."""
        self.drain()
        if self.chunks:
            self._written()

    def _written(self):
        if not self.running:
            return
        if self.size >= FLUSH_BYTES:
            self.flush()
            self.channel.pump()
        elif not self.deadline:
            self._arm()

    def _arm(self):
        if not self.deadline:
            self.deadline = monotonic() + FLUSH_SECONDS
            if not self.channel.resting and get_ident() != self.channel.io_thread:
                self.channel.wake()

    def flush(self, final=False):
        """Makes events of the buffer; adjacent chunks of one stream merge."""
        while self.chunks:
            stream, data = self.chunks.popleft()
            if stream == EVENT:
                self.channel.append(data)
                continue
            parts, size = [data], len(data)
            while self.chunks and self.chunks[0][0] == stream and size < TEXT_BYTES:
                data = self.chunks.popleft()[1]
                parts.append(data)
                size += len(data)
            self._text(stream, b"".join(parts), False)
        if final:
            for stream in (0, 1):
                self._text(stream, b"", True)
        self.size = 0

    def _text(self, stream, data, final):
        text = self.decoders[stream].decode(data, final)
        if text:
            self.channel.append(encode({"type": NAMES[stream], "text": text}))

    def tick(self):
        """Flushes what has waited long enough; from the io thread. Returns the
        seconds until it must be called again, or None."""
        if not self.deadline:
            return None
        left = self.deadline - monotonic()
        if left > 0:
            return left
        self.deadline = 0.0
        if self.running:
            self.flush()
        self.channel.pump()
        return None

    def _wait_for_request(self):
        """Blocks a thread that prints while nothing runs. The main thread and
        the io thread go on: the next request needs them."""
        if get_ident() in (self.guard.main, self.channel.io_thread):
            return
        with self.lock:
            while not self.running and self.size >= IDLE_BYTES:
                self.channel.room.wait()

    def wants_pipes(self):
        """Whether the io thread shall read the pipes now."""
        return not self.channel.full() if self.running else self.size < IDLE_BYTES


# fcntl.F_SETPIPE_SZ has a name since Python 3.10 only.
fcntl_setpipe_sz = getattr(fcntl, "F_SETPIPE_SZ", 1031)


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Raw(io.RawIOBase):
    """The binary layer of sys.stdout and sys.stderr: their .buffer."""

    mode = "wb"

    def __init__(self, output, stream):
        self._output = output
        self._stream = stream
        self.name = "<%s>" % NAMES[stream]

    def write(self, data):
        if type(data) is not bytes:
            data = bytes(data)
        self._output.write(self._stream, data)
        return len(data)

    def fileno(self):
        return self._stream + 1

    def writable(self):
        return True

    def isatty(self):
        return False

    def close(self):
        """Does nothing: code that closes sys.stdout must not silence the next."""


def text_stream(output, stream):
    # backslashreplace: printing a lone surrogate shows it instead of raising.
    return io.TextIOWrapper(
        Raw(output, stream),
        encoding="utf-8",
        errors="backslashreplace",
        newline="",
        write_through=True,
    )
