"""Locks memory, so that it can't be swapped.

group: exhaustion
weaken: filter rlimits
"""

from attack import *

page = ctypes.create_string_buffer(4096)
answer = syscall(NR["mlock"], ctypes.addressof(page), 4096)
if answer != -errno.EPERM:
    flag("mlock answers %d" % answer)
