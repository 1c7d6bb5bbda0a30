"""Joins namespaces through /proc and through descriptors of processes.

group: escape
weaken: filter caps
"""

from attack import *

for name in ("uts", "ipc", "net", "cgroup"):
    for pid in ("self", "1"):
        try:
            ns = os.open("/proc/%s/ns/%s" % (pid, name), os.O_RDONLY)
        except OSError:
            continue
        if syscall(NR["setns"], ns, 0) == 0:
            flag("joined %s of %s" % (name, pid))
        os.close(ns)
if syscall(NR["setns"], os.pidfd_open(os.getpid()), 0x4000000) == 0:
    flag("joined by process")
