"""Reads which files processes of the host have locked.

group: leak
weaken: masks
"""

from attack import *

import fcntl

# One's own lock is in the list where that can be read at all.
with open("mine", "w") as f:
    fcntl.flock(f, fcntl.LOCK_EX)
    try:
        with open("/proc/locks") as locks:
            if locks.read().strip():
                flag("the list of locks")
    except OSError as e:
        print(e)
