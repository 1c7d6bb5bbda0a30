"""Asks which pages of the image others have used.

group: leak
weaken: filter
"""

from attack import *

fd = os.open(os.__file__, os.O_RDONLY)
span, counts = (ctypes.c_uint64 * 2)(0, 0), (ctypes.c_uint64 * 5)()
result = syscall(451, fd, span, counts, 0)  # cachestat
if not refused(result):
    flag("cachestat answers %d" % result)
result = syscall(279, 0, 1, (ctypes.c_void_p * 1)(id(fd)), 0, (ctypes.c_int * 1)(), 0)  # move_pages
if result == 0:
    flag("on which node its memory lies")
