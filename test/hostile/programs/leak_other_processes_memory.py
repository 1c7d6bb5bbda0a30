"""Compares kernel objects of processes, which tells about addresses.

group: leak
weaken: filter
"""

from attack import *

answer = syscall(NR["kcmp"], os.getpid(), os.getpid(), 1, 0, 0)
if answer != -errno.EPERM:
    flag("kcmp answers %d" % answer)
