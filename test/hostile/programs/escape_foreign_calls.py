"""Makes system calls of another architecture, which have other numbers.

group: escape
weaken: filter
"""

from attack import *

import mmap


def enter():
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    # mov eax, 20 (getpid of i386); int 0x80; ret
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    code = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    os._exit(0 if code() == os.getpid() else 1)


status = in_child(enter)
if status is not None and os.WIFEXITED(status):
    flag("a 32-bit system call came back with %d" % os.WEXITSTATUS(status))
