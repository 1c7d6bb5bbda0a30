"""Moves pages of the image's files into pipes without copying them: the way of Dirty Pipe.

group: escape
weaken: filter
"""

from attack import *

source = os.open(os.__file__, os.O_RDONLY)
r, w = os.pipe()
r2, w2 = os.pipe()
if syscall(NR["splice"], source, 0, w, 0, 1, 0) == 1:
    flag("splice")
    if syscall(NR["tee"], r, w2, 1, 0) == 1:
        flag("tee")
vector = (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
if syscall(NR["vmsplice"], w, vector, 1, 0) == 8:
    flag("vmsplice")
if syscall(40, w, source, 0, 1) == 1:
    flag("sendfile")
