"""Reads where the daemon keeps its sessions' cgroups, and so this session's id.

group: leak
weaken: cgroupns
"""

from attack import *

for path in ("/proc/self/cgroup", "/proc/self/cpuset"):
    try:
        with open(path) as f:
            for line in f:
                if line.strip().rpartition(":")[2] != "/":
                    flag(line.strip())
    except OSError as e:
        print(e)
