"""Makes children of its parent, which is outside of the sandbox and tells how others' kernels end.

group: neighbour
weaken: filter
control: fork
"""

import os

from attack import NR, flag, syscall

CLONE_PARENT, SIGCHLD = 0x8000, 17
pid = syscall(NR["clone"], CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)
if pid == 0:
    os._exit(77)
if pid > 0:
    flag("a process that is not its child: %d" % pid)
