"""Makes a file larger than a file may be.

group: exhaustion
weaken: rlimits disk
disk_mb: 32
"""

from attack import *

fd = os.open("sparse", os.O_CREAT | os.O_WRONLY)
try:
    os.pwrite(fd, b"x", 200 << 20)
    flag("a file of 200 MiB")
except OSError as e:
    print(e)
