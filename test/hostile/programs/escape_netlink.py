"""Talks to the kernel's network configuration, also with high bits around the family.

group: escape
weaken: filter
"""

from attack import *

for family in (16, 16 | 1 << 32):
    for kind in (2, 3):
        fd = syscall(41, family, kind, 0)
        if fd >= 0:
            flag("a netlink socket")
            os.close(fd)
