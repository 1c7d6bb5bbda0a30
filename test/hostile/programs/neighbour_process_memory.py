"""Reads another session's memory with process_vm_readv.

group: neighbour
weaken: filter pidns uids
victim: yes
"""

from attack import *

for pid in kernels_of_others():
    try:
        with open("/proc/%d/maps" % pid) as maps:
            address = next(int(line.split("-")[0], 16) for line in maps if "rw-p" in line)
    except OSError as e:
        print(pid, e)
        continue
    buffer = ctypes.create_string_buffer(1)
    near = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 1)
    far = (ctypes.c_size_t * 2)(address, 1)
    if syscall(NR["process_vm_readv"], pid, near, 1, far, 1, 0) == 1:
        flag("a byte of %d" % pid)
