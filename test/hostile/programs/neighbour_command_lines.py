"""Reads what runs in other sessions and in which cgroup.

group: neighbour
weaken: pidns uids
victim: yes
"""

from attack import *

for pid in kernels_of_others():
    with open("/proc/%d/cgroup" % pid) as f:
        flag("%d: %s" % (pid, f.readline().strip()))
