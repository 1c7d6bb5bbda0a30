"""Events on their way to the daemon: numbering, sending, keeping, replay.

Any thread may send. The state changes only in steps that can be repeated: an
exception may strike between any two instructions (a user's signal handler that
raises), and the next call must find nothing torn.
"""

import json
import os
import socket
import sys
import threading
from _thread import get_ident
from collections import deque

PROTOCOL = 1
REQUESTS = ("execute", "condition", "complete", "is_complete")
# Bytes of events that the daemon has not acknowledged; more makes output wait.
WINDOW = 16 << 20
# A request longer than this is refused: the daemon checks it first.
MAX_REQUEST = 64 << 20
# Small frames leave together, up to this many bytes in one system call.
BATCH = 256 << 10
RECV = 64 << 10
# How often a thread that waits for room looks for a SIGINT.
ROOM_POLL_SECONDS = 0.05

_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


def encode(message):
    """JSON of a dictionary, as bytes; lone surrogates become question marks."""
    return _encode(message).encode("utf-8", "replace")


def frame(body):
    return len(body).to_bytes(4, "big") + body


STARTED = frame(encode({"type": "started"}))


class Item:
    """One event: its number, its frame, where the frame ends in the stream of
    all events ever made, and the request that it answers (0: none)."""

    __slots__ = ("end", "final", "frame", "seq")

    def __init__(self, seq, data, end, final):
        self.seq, self.frame, self.end, self.final = seq, data, end, final


class Batch:
    """Frames that are being sent. The lengths that send() returned are in log."""

    __slots__ = ("data", "items", "log")

    def __init__(self, items):
        self.items = items
        self.data = memoryview(b"".join([i.frame for i in items]))
        self.log = []


class Channel:
    def __init__(self, guard, wake, wake_main, shell):
        self.guard = guard
        self.wake = wake  # wakes the io thread
        self.wake_main = wake_main
        self.shell = shell
        self.lock = threading.RLock()
        self.room = threading.Condition(self.lock)
        self.io_thread = 0
        self.resting = False  # the io thread sleeps, and will look around soon
        self.conn = None
        self.ready = False  # the daemon said where to resume
        self.unsent = deque()
        self.kept = deque()  # sent, not acknowledged
        self.acked = 0
        self.acked_end = 0
        self.batch = None
        self.blocked = False  # the socket takes no more for now
        self.last_id = 0
        self.active = None  # (id, type) of the request that is not answered
        self.active_seq = 0  # number of its final event, once made
        self.requests = deque()  # arrived, not yet taken by the main thread
        self._received = bytearray()

    # Making events.

    def _last(self):
        """Number and end of the newest event."""
        for queue in (self.unsent, self.kept):
            if queue:
                return queue[-1].seq, queue[-1].end
        return self.acked, self.acked_end

    def full(self):
        return self._last()[1] - self.acked_end >= WINDOW

    def wait_for_room(self):
        """Blocks while the window is full; a SIGINT ends it in user code. The
        io thread, which must never wait for itself, does not block."""
        if get_ident() == self.io_thread or not self.full():
            return
        with self.lock:
            while self.full():
                self.wake()
                self.room.wait(ROOM_POLL_SECONDS)
                self.guard.check()

    def append(self, body, final=0):
        """Numbers an event and queues it; the caller holds the lock."""
        seq, end = self._last()
        seq += 1
        data = frame(b'{"seq":%d,' % seq + body[1:])
        if final:
            self.active_seq = seq
        self.unsent.append(Item(seq, data, end + len(data), final))

    # Sending.

    def pump(self):
        """Sends what can be sent without waiting; wakes the io thread for the
        rest. The caller holds the lock."""
        if not self.ready:
            return
        self.blocked = False
        try:
            while self.unsent:
                self._send_some()
        except BlockingIOError:
            self.blocked = True
        except OSError:
            self.ready = False  # the io thread finds out by itself
        if self.unsent and get_ident() != self.io_thread:
            self.wake()

    def _send_some(self):
        batch = self.batch
        if batch is None:
            items, size = [], 0
            for item in self.unsent:
                if items and size + len(item.frame) > BATCH:
                    break
                items.append(item)
                size += len(item.frame)
            self.batch = batch = Batch(items)
        sent = sum(batch.log)
        if sent < len(batch.data):
            # One C call sends and notes the length: no exception comes between.
            # MSG_NOSIGNAL: users restore SIGPIPE's default.
            batch.log.extend(map(self.conn.send, (batch.data[sent:],), (socket.MSG_NOSIGNAL,)))
            return
        for item in batch.items:
            if not self.kept or self.kept[-1].seq < item.seq:
                self.kept.append(item)
        last = batch.items[-1].seq
        while self.unsent and self.unsent[0].seq <= last:
            self.unsent.popleft()
        self.batch = None
        self._forget(self.acked)

    # Receiving: in the main thread while it is idle, else in the io thread.
    # The caller holds the lock.

    def begin(self, conn):
        """Takes a connection on which nothing has been said, to a daemon that knows
        what hello would say."""
        conn.setblocking(False)
        self.conn, self.ready = conn, True
        conn.send(STARTED, socket.MSG_NOSIGNAL)

    def connected(self, conn):
        conn.setblocking(False)
        self.conn, self.ready, self.blocked = conn, False, False
        del self._received[:]
        hello = {
            "type": "hello",
            "protocol": PROTOCOL,
            "python": "%d.%d.%d" % sys.version_info[:3],
            "shell": self.shell,
            "pid": os.getpid(),
            "next_seq": self._last()[0] + 1,
            "acked": self.acked,
            "last_id": self.last_id,
            "active": {"id": self.active[0], "type": self.active[1], "seq": self.active_seq}
            if self.active
            else None,
        }
        try:
            conn.send(frame(encode(hello)), socket.MSG_NOSIGNAL)
        except OSError:
            self.lost()

    def lost(self):
        """The connection ended: everything not acknowledged is unsent again."""
        conn, self.conn, self.ready = self.conn, None, False
        if conn is not None:
            conn.close()
        self.wake()
        self.wake_main()
        again = {i.seq: i for i in self.kept}
        again.update((i.seq, i) for i in self.unsent)
        self.unsent = deque(again.values())
        self.kept = deque()
        self.batch = None

    def receive(self):
        """Reads what is there, and handles it."""
        try:
            data = self.conn.recv(RECV)
            if not data:
                raise ConnectionError
            self._received += data
            while len(self._received) >= 4:
                size = int.from_bytes(self._received[:4], "big")
                if size > MAX_REQUEST:
                    raise ValueError("request too long")
                if len(self._received) < 4 + size:
                    break
                message = json.loads(self._received[4 : 4 + size])
                del self._received[: 4 + size]
                self._handle(message)
        except BlockingIOError:
            pass
        except (OSError, ValueError, KeyError, TypeError):
            # What is not a daemon that speaks the protocol is hung up on.
            self.lost()

    def _handle(self, message):
        kind = message["type"]
        if kind == "ack" and self.ready:
            self._acknowledge(int(message["seq"]))
        elif kind == "resume" and not self.ready:
            self._acknowledge(int(message["after"]))
            self.ready = True
            self.pump()
            if get_ident() != self.guard.main:
                self.wake_main()  # it takes over the reading
        elif kind in REQUESTS and self.ready:
            number = int(message["id"])
            # The next request may overtake the acknowledgement of the answer.
            if (self.active and not self.active_seq) or number <= self.last_id:
                raise ValueError("request out of turn")
            self.active_seq = 0
            self.active = (number, kind)
            self.last_id = number
            self.requests.append(message)
            self.guard.armed = True
            if get_ident() != self.guard.main:
                self.wake_main()
        else:
            raise ValueError("unknown message " + repr(kind))

    def reads_acks(self):
        """Whether the io thread shall read although the main thread, which
        answers a request, will: acknowledgements make room."""
        return not self.ready or self._last()[1] - self.acked_end >= WINDOW // 4

    def _acknowledge(self, seq):
        if seq < self.acked:
            return
        if not self.ready:  # it may have seen all of this on the last connection
            newest = self._last()[0]
        elif self.batch:
            newest = self.batch.items[-1].seq
        else:
            newest = self.kept[-1].seq if self.kept else self.acked
        if seq > newest:
            raise ValueError("acknowledged what was not sent")
        self._forget(seq)
        self.room.notify_all()

    def _forget(self, seq):
        for queue in (self.kept, () if self.ready else self.unsent):
            while queue and queue[0].seq <= seq:
                self.acked, self.acked_end = queue[0].seq, queue[0].end
                if self.active and queue[0].final == self.active[0]:
                    self.active = None
                queue.popleft()
        self.acked = max(self.acked, seq)
