"""Leaves a key in the kernel, where another session finds it by name.

group: neighbour
weaken: filter
"""

from attack import *

key = syscall(NR["add_key"], b"user", b"tcid-hostile", b"x", 1, -3)  # in the session's ring
if key >= 0:
    flag("key %d" % key)
    syscall(NR["keyctl"], 21, key, 0, 0, 0)  # invalidate
