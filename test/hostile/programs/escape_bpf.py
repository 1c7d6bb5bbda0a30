"""Hands a program to the kernel's virtual machine.

group: escape
weaken: filter
"""

from attack import *

result = syscall(NR["bpf"], 0, 0, 1 << 20)
if not refused(result):
    flag("bpf gets to the kernel: %d" % result)
