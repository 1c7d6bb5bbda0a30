"""Finds the host's disk below its own root.

group: leak
weaken: overlay
"""

from attack import *

for path in ("/", "/usr/lib", "/etc/passwd", sys.executable):
    if os.major(os.stat(path).st_dev):
        flag(
            "%s lies on the disk %d:%d"
            % (path, os.major(os.stat(path).st_dev), os.minor(os.stat(path).st_dev))
        )
