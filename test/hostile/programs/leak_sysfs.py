"""Reads about the hardware and its devices in /sys.

group: leak
weaken: sysfs
"""

from attack import *

for path in (
    "/sys/class/dmi/id",
    "/sys/block",
    "/sys/bus/pci/devices",
    "/sys/kernel",
    "/sys/devices/system/cpu",
):
    try:
        found = os.listdir(path)
    except OSError as e:
        print(path, e)
        continue
    if found:
        flag("%s: %s" % (path, found[:3]))
