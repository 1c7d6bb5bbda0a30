"""Lists mounts by the calls that no mask on /proc covers.

group: leak
weaken: filter
"""

from attack import *

request = (ctypes.c_uint64 * 4)(24, 0xFFFFFFFFFFFFFFFF, 0, 0)
ids = (ctypes.c_uint64 * 64)()
found = syscall(458, request, ids, 64, 0)  # listmount
if found > 0:
    flag("%d mounts" % found)
