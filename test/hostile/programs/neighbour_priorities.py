"""Takes a scheduling class that starves others.

group: neighbour
weaken: filter caps rlimits
"""

from attack import *

SCHED_BATCH, SCHED_IDLE = 3, 5
try:
    os.sched_setscheduler(0, SCHED_BATCH, os.sched_param(0))
    flag("the scheduling class is changed")
except OSError as e:
    print(e)
