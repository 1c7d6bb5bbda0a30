"""Watches a directory of the image for what other sessions open there.

group: neighbour
weaken: filter
"""

from attack import *

fd = syscall(NR["inotify_init"])
if fd >= 0:
    if syscall(254, fd, os.path.dirname(os.__file__).encode(), 0x20) >= 0:
        flag("inotify tells what is opened")
    os.close(fd)
fd = syscall(NR["fanotify_init"], 0x200, 0)
if fd >= 0:
    flag("fanotify")
    os.close(fd)
