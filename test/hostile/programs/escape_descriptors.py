"""Finds a descriptor of the host's files that somebody left open.

group: escape
weaken: descriptors
"""

from attack import *

import stat

for name in os.listdir("/proc/self/fd"):
    try:
        mode = os.fstat(int(name)).st_mode
    except OSError:
        continue  # the one that lists
    if stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        flag("descriptor %s is %s" % (name, os.readlink("/proc/self/fd/" + name)))
