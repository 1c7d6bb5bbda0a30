"""Fills the buffers of TCP connections to itself, whose memory is the host's.

group: neighbour
weaken: memory
expect: ok memory_limit
memory_mb: 128
"""

from attack import *

import socket
import time

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
held, total, end = [], 0, time.monotonic() + 10
chunk = bytes(65536)
while total < 256 << 20 and time.monotonic() < end:
    near = socket.create_connection(listener.getsockname())
    far, _ = listener.accept()
    held += [near, far]
    near.setblocking(False)
    before = total
    try:
        while True:
            total += near.send(chunk)
    except BlockingIOError:
        pass
    if total - before < len(chunk):
        break
print(total >> 20, "MiB in", len(held), "sockets")
if total >= 256 << 20:
    flag("%d MiB, of a session that may have 128" % (total >> 20))
