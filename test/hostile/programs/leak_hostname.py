"""Reads the host's name.

group: leak
weaken: uts
"""

from attack import *

import socket

for name in (os.uname().nodename, socket.gethostname()):
    if name != "sandbox":
        flag("the host is called %s" % name)
