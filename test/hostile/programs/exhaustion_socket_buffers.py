"""Holds memory in sockets.

group: exhaustion
weaken: memory
expect: memory_limit crashed ok error
memory_mb: 96
"""

from attack import *

import socket

held, total = [], 0
for _ in range(100):
    a, b = socket.socketpair()
    a.setblocking(False)
    held += [a, b]
    try:
        while True:
            total += a.send(bytes(32 << 10))
    except BlockingIOError:
        pass
print(total >> 20, "MiB in sockets")
extra = bytearray(os.urandom(1 << 20) * 90)
flag("%d MiB in sockets and 90 MiB beside them" % (total >> 20))
