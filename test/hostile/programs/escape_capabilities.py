"""Looks for a privilege that it was left.

group: escape
weaken: caps
"""

from attack import *

with open("/proc/self/status") as f:
    for line in f:
        name, value = line.split(":", 1)
        if name.startswith("Cap") and int(value, 16):
            flag(line.strip())
