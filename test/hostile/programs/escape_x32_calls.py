"""Makes system calls of the x32 variant.

group: escape
weaken: filter
"""

from attack import *

status = in_child(lambda: os._exit(3 if syscall(0x40000000 | 39) <= 0 else 4))
if status is not None and os.WIFEXITED(status):
    flag("an x32 call came back: %d" % os.WEXITSTATUS(status))
