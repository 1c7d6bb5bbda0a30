"""Reads and writes the processor's segment tables.

group: escape
weaken: filter
"""

from attack import *

buffer = ctypes.create_string_buffer(16)
if syscall(NR["modify_ldt"], 0, buffer, 16) >= 0:
    flag("modify_ldt")
if not refused(syscall(NR["iopl"], 9)):
    flag("iopl")
