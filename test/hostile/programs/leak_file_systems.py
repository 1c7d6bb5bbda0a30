"""Reads what disks and file systems the host has.

group: leak
weaken: masks
"""

from attack import *

for path in ("/proc/partitions", "/proc/swaps", "/proc/fs/ext4", "/proc/bus/pci", "/proc/driver"):
    try:
        if os.path.isdir(path):
            found = os.listdir(path)
        else:
            with open(path) as f:
                found = f.read().split()
    except OSError as e:
        print(path, e)
        continue
    if found:
        flag("%s: %s" % (path, found[:3]))
