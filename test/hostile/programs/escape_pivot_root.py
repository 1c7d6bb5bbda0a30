"""Changes the root of all processes.

group: escape
weaken: filter caps
"""

from attack import *

result = syscall(NR["pivot_root"], b"/nowhere", b"/nowhere")
if not refused(result):
    flag("pivot_root gets to the kernel: %d" % result)
