"""Sets options of sockets that kernel holes have been in.

group: escape
weaken: filter
"""

from attack import *

import socket

s = socket.socket()
for name, level, option, value in (
    ("TCP_ULP", 6, 31, b"tls\0"),
    ("SO_ZEROCOPY", 1, 60, b"\1\0\0\0"),
    ("SO_ATTACH_FILTER", 1, 26, bytes(16)),
    ("IP_XFRM_POLICY", 0, 17, bytes(200)),
):
    try:
        s.setsockopt(level, option, value)
        flag("%s is set" % name)
    except OSError as e:
        if e.errno != errno.EPERM:
            flag("%s reaches the kernel: %s" % (name, e))
