"""Writes more into /tmp than the session may have.

group: exhaustion
weaken: disk
memory_mb: 512
disk_mb: 32
"""

from attack import *

try:
    for i in range(6):
        with open("/tmp/f%d" % i, "wb") as f:
            f.write(bytes(16 << 20))
    flag("96 MiB are written")
except OSError as e:
    print(e)
