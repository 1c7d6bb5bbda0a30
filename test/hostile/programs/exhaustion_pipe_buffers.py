"""Holds memory in pipes.

group: exhaustion
weaken: memory
expect: memory_limit crashed ok error
memory_mb: 96
"""

from attack import *

held, total = [], 0
try:
    for _ in range(400):
        r, w = os.pipe()
        os.set_blocking(w, False)
        held += [r, w]
        try:
            while True:
                total += os.write(w, bytes(64 << 10))
        except BlockingIOError:
            pass
        if total > 20 << 20:
            break
except OSError as e:
    print(e)
print(total >> 20, "MiB in pipes")
extra = bytearray(os.urandom(1 << 20) * 90)
flag("%d MiB in pipes and 90 MiB beside them" % (total >> 20))
