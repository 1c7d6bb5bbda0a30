"""Opens files of the host by handle, as shocker did.

group: escape
weaken: filter
"""

from attack import *

buffer = ctypes.create_string_buffer(b"\x80\0\0\0\0\0\0\0" + bytes(128))
mount = ctypes.c_int()
answer = syscall(NR["name_to_handle_at"], -100, b"/workspace", buffer, ctypes.byref(mount), 0)
if not refused(answer):
    flag("name_to_handle_at answers %d" % answer)
