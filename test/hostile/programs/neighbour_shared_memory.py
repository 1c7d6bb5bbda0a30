"""Uses System V shared memory, which has no file either.

group: neighbour
weaken: filter
"""

from attack import *

answer = syscall(NR["shmget"], 0x7C1D, 4096, 0o1600)
if answer != -errno.ENOSYS:
    flag("shmget answers %d" % answer)
    libc.shmctl(answer, 0, 0)
