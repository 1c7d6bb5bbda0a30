"""Drops pages of the image that all sessions share, and sees in its own counters who reads them.

group: neighbour
weaken: filter
"""

from attack import *


def reads():
    with open("/proc/self/io") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("read_bytes"))


# A module that nothing here uses: another session that imports it between the
# two reads would be seen by its page being back.
fd = os.open(os.path.join(os.path.dirname(os.__file__), "mailbox.py"), os.O_RDONLY)
os.pread(fd, 4096, 0)
try:
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
except OSError as e:
    print(e)
before = reads()
os.pread(fd, 4096, 0)
if reads() > before:
    flag("a page of the image can be thrown out of memory, and its return be seen")
