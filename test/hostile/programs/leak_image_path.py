"""Reads in its list of mounts where the host keeps images.

group: leak
weaken: overlay
"""

from attack import *

with open("/proc/self/mountinfo") as f:
    for line in f:
        root, point = line.split()[3:5]
        if (point in ("/", "/usr/lib/tcid") and root != "/") or "lowerdir=/" in line:
            flag(line.strip())
