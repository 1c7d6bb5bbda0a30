"""Mounts with the newer calls: fsopen, open_tree, move_mount, mount_setattr.

group: escape
weaken: filter caps
"""

from attack import *

context = syscall(NR["fsopen"], b"tmpfs", 1)
if context >= 0:
    if syscall(431, context, 6, None, None, 0) == 0:  # fsconfig: create
        mount = syscall(NR["fsmount"], context, 1, 0)
        if mount >= 0:
            flag("a mount of its own")
            os.close(mount)
    os.close(context)
tree = syscall(NR["open_tree"], -100, b"/proc", 0x80001)  # a clone
if tree >= 0:
    flag("a copy of the mount of /proc")
    os.close(tree)
for name in ("move_mount", "mount_setattr"):
    if not refused(syscall(NR[name], -1, b"", -1, b"", 0)):
        flag(name + " gets to the kernel")
