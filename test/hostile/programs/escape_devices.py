"""Opens devices of the host.

group: escape
weaken: devices
"""

from attack import *

import stat

# null, zero, full, random, urandom, ptmx, and the first terminals made here.
HARMLESS = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 2), (5, 0)}
for name in sorted(os.listdir("/dev")):
    try:
        fd = os.open("/dev/" + name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as e:
        print(name, e)
        continue
    info = os.fstat(fd)
    os.close(fd)
    number = os.major(info.st_rdev), os.minor(info.st_rdev)
    # /dev/core leads to a file of /proc that is hidden by a null device.
    if stat.S_ISBLK(info.st_mode) or (stat.S_ISCHR(info.st_mode) and number not in HARMLESS):
        flag("/dev/%s is the device %d:%d" % (name, *number))
