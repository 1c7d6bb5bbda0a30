"""Learns the host's address by a connection that sends nothing.

group: leak
weaken: network
"""

from attack import *

import socket

for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
    s = socket.socket(family, socket.SOCK_DGRAM)
    try:
        s.connect((far, 9))  # only looks for the way
        flag("its address is %s" % s.getsockname()[0])
    except OSError as e:
        print(e)
