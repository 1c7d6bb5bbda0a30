"""Makes a user namespace of its own, the door to half of the kernel's holes.

group: escape
weaken: filter nested
"""

from attack import *


def attempt():
    if syscall(NR["unshare"], 0x10000000) == 0:
        flag("a user namespace")


in_child(attempt)
