"""Becomes root of a nested user namespace and mounts there.

group: escape
weaken: filter nested
"""

from attack import *


def attempt():
    if syscall(NR["unshare"], 0x10020000):
        return
    if syscall(NR["mount"], b"none", b"/tmp", b"tmpfs", 0, 0) == 0:
        flag("a tmpfs is mounted by an ordinary user")


in_child(attempt)
