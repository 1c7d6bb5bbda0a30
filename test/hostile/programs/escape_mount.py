"""Mounts a file system.

group: escape
weaken: filter caps
"""

from attack import *

os.mkdir("here")
if syscall(NR["mount"], b"none", b"here", b"tmpfs", 0, 0) == 0:
    flag("a tmpfs is mounted")
    libc.umount2(b"here", 2)
