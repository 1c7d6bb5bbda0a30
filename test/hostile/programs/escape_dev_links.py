"""Puts links into /dev, which what starts later would follow.

group: escape
weaken: caps
"""

from attack import *

try:
    os.symlink("/proc/self/mem", "/dev/link")
    flag("a link in /dev")
    os.unlink("/dev/link")
except OSError as e:
    print(e)
