"""Makes an io_uring, whose operations no filter sees.

group: escape
weaken: filter
"""

from attack import *

result = syscall(NR["io_uring_setup"], 4, ctypes.create_string_buffer(120))
if not refused(result):
    flag("io_uring_setup answers %d" % result)
if result >= 0:
    os.close(result)
