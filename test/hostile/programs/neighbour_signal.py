"""Signals the Python of another session.

group: neighbour
weaken: pidns uids
victim: yes
"""

from attack import *

for pid in kernels_of_others():
    try:
        os.kill(pid, 0)
        flag("%d can be killed" % pid)
    except OSError as e:
        print(pid, e)
