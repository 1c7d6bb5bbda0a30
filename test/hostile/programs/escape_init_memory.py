"""Reads PID 1's memory with process_vm_readv.

group: escape
weaken: filter caps
"""

from attack import *


try:
    with open("/proc/1/maps") as f:
        address = int(f.read().split("-")[0], 16)
except OSError as e:
    print(e)
    address = 0x400000
buffer = ctypes.create_string_buffer(4)
near = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 4)
far = (ctypes.c_size_t * 2)(address, 4)
if syscall(NR["process_vm_readv"], 1, near, 1, far, 1, 0) == 4:
    flag("memory of PID 1: %r" % buffer.raw)
