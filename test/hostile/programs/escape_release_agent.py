"""Mounts a hierarchy of cgroups, to have the host run a release agent.

group: escape
weaken: filter caps
"""

from attack import *

os.mkdir("cgroup")
for kind, data in ((b"cgroup", b"memory"), (b"cgroup", b"pids"), (b"cgroup2", None)):
    if syscall(NR["mount"], b"none", b"cgroup", kind, 0, data) == 0:
        flag("mounted %s: %s" % (kind.decode(), os.listdir("cgroup")[:3]))
        libc.umount2(b"cgroup", 2)
