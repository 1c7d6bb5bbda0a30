"""Finds kernel settings that only permissions protect.

group: escape
weaken: masks
"""

from attack import *

if not os.statvfs("/proc/sys").f_flag & os.ST_RDONLY:
    flag("/proc/sys is mounted writable")
