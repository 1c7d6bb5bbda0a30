"""Holds page faults, with which races in the kernel are won.

group: escape
weaken: filter
"""

from attack import *

fd = syscall(NR["userfaultfd"], 1)  # of user space only, which needs no privilege
if fd >= 0:
    flag("page faults can be held")
    os.close(fd)
