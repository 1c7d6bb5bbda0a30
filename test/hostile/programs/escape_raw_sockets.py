"""Makes raw sockets and packet sockets.

group: escape
weaken: filter caps
"""

from attack import *

for family, kind, protocol in ((2, 3, 1), (2, 3, 255), (10, 3, 58), (17, 3, 0x300), (17, 2, 0x300)):
    fd = syscall(41, family, kind, protocol)
    if fd >= 0:
        flag("a socket %d %d %d" % (family, kind, protocol))
        os.close(fd)
