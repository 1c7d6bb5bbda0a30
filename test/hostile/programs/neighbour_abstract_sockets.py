"""Connects to the abstract sockets of others, which no file protects.

group: neighbour
weaken: network
"""

from attack import *

with open("/proc/net/unix") as f:
    for line in f.readlines()[1:]:
        fields = line.split()
        if len(fields) > 7:
            flag("socket %s" % fields[7])
            break
