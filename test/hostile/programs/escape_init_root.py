"""Goes through PID 1's root, descriptors and memory in /proc.

group: escape
weaken: caps
"""

from attack import *

for path in ("root", "cwd", "fd", "map_files"):
    try:
        flag("/proc/1/%s: %s" % (path, os.listdir("/proc/1/" + path)[:3]))
    except OSError as e:
        print(path, e)
for path in ("environ", "maps", "stack", "auxv", "mem"):
    try:
        with open("/proc/1/" + path, "rb") as f:
            flag("/proc/1/%s is open" % path)
    except OSError as e:
        print(path, e)
