"""Sees Unix sockets of others, to connect to them.

group: neighbour
weaken: network
"""

from attack import *

with open("/proc/net/unix") as f:
    others = [line.split()[-1] for line in f.readlines()[1:] if "/" in line or "@" in line]
if others:
    flag("sockets of others: %s" % others[:3])
