"""Makes sockets of every family that is not of the internet or local.

group: escape
weaken: filter
"""

from attack import *

for family in range(3, 50):
    if family == 10:
        continue
    for kind in (1, 2, 5):
        fd = syscall(41, family, kind, 0)
        if fd >= 0:
            flag("a socket of family %d" % family)
            os.close(fd)
            break
