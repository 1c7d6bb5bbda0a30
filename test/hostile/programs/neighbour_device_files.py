"""Locks and touches the host's device nodes, which all sessions share.

group: neighbour
weaken: devices
"""

from attack import *

import fcntl

shared = set()
with open("/proc/self/mountinfo") as f:
    for line in f:
        fields = line.split()
        if fields[fields.index("-") + 1] == "devtmpfs" and fields[4].startswith("/dev"):
            shared.add(fields[4])
for path in sorted(shared):
    if os.path.isdir(path):
        path = os.path.join(path, "null")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        flag("%s of the host is locked" % path)
        os.close(fd)
        os.utime(path)
        flag("%s of the host has a new time" % path)
    except OSError as e:
        print(path, e)
