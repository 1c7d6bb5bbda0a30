"""Sees the host's network.

group: leak
weaken: network
"""

from attack import *

with open("/proc/net/dev") as f:
    others = sorted({line.split(":")[0].strip() for line in f if ":" in line} - {"lo"})
if others:
    flag("interfaces %s" % others)
with open("/proc/net/tcp") as f:
    if len(f.readlines()) > 1:
        flag("connections of others")
