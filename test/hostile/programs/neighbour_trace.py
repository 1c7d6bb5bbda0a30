"""Traces the Python of another session.

group: neighbour
weaken: filter pidns uids
victim: yes
"""

from attack import *


def attempt(pid):
    if syscall(NR["ptrace"], 0x4206, pid, 0, 0) == 0:  # PTRACE_SEIZE
        flag("%d is traced" % pid)  # until this child ends


for pid in kernels_of_others():
    in_child(lambda: attempt(pid))
