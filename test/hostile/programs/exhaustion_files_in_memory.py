"""Holds memory in files that have no name.

group: exhaustion
weaken: memory
expect: memory_limit crashed
memory_mb: 128
"""

from attack import *

held = []
for _ in range(16):
    fd = os.memfd_create("held")
    os.write(fd, bytes(16 << 20))
    held.append(fd)
flag("256 MiB are held")
