"""Reads the command line of the first process.

group: leak
weaken: hidepid
"""

from attack import *

try:
    with open("/proc/1/cmdline", "rb") as f:
        flag("it is %r" % f.read())
except OSError as e:
    print(e)
