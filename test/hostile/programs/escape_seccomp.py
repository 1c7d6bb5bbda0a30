"""Loads a filter of its own that asks itself, and so answers for the kernel.

group: escape
weaken: filter
"""

from attack import *


def attempt():
    allow = (ctypes.c_uint16 * 4)(6, 0, 0, 0x7FFF)
    program = (ctypes.c_size_t * 2)(1, ctypes.addressof(allow))
    if syscall(NR["prctl"], 38, 1, 0, 0, 0) == 0 and syscall(NR["seccomp"], 1, 8, program) >= 0:
        flag("a filter with a listener")


in_child(attempt)
