"""Signals every process that it can.

group: neighbour
weaken: caps root
"""

from attack import *

# Signal 0 only asks whether one might. Threads have numbers as well.
own = {int(n) for n in os.listdir("/proc/self/task")}
for pid in set(range(1, 400)) - own:
    try:
        os.kill(pid, 0)
        flag("process %d may be signalled" % pid)
    except OSError:
        pass
