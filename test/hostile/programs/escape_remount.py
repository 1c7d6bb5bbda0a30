"""Makes what is mounted read-only writable.

group: escape
weaken: filter caps
"""

from attack import *

if syscall(NR["mount"], b"none", b"/proc/sys", 0, 0x1020, 0) == 0:  # bind, remount
    flag("/proc/sys can be written")
