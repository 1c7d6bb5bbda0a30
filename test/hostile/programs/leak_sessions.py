"""Counts the cgroups of the host, and so the sessions of others.

group: leak
weaken: masks
"""

from attack import *

for path in ("/proc/cgroups",):
    try:
        with open(path) as f:
            for line in f:
                if line.startswith("memory"):
                    flag("%s: %s cgroups" % (path, line.split()[2]))
    except OSError as e:
        print(path, e)
