"""Reads how the host schedules and interrupts.

group: leak
weaken: masks
"""

from attack import *

for path in (
    "/proc/schedstat",
    "/proc/softirqs",
    "/proc/pressure/cpu",
    "/proc/diskstats",
    "/proc/zoneinfo",
    "/proc/buddyinfo",
):
    try:
        with open(path) as f:
            if f.read(64).strip():
                flag(path)
    except OSError as e:
        print(path, e)
