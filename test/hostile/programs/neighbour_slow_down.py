"""Makes another session's Python nice, and takes its processors away.

group: neighbour
weaken: pidns uids
victim: yes
"""

from attack import *

for pid in kernels_of_others():
    try:
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid))
        os.sched_setaffinity(pid, os.sched_getaffinity(pid))
        flag("%d would run as slowly as wished" % pid)
    except OSError as e:
        print(pid, e)
