"""Opens a performance counter.

group: escape
weaken: filter
"""

from attack import *

attr = (ctypes.c_uint32 * 32)()
attr[0], attr[1] = 1, 128  # software events; clock
attr[10] = 0b1100000  # not the kernel, not the hypervisor
fd = syscall(NR["perf_event_open"], attr, 0, -1, -1, 0)
if fd >= 0:
    flag("a counter runs")
    os.close(fd)
