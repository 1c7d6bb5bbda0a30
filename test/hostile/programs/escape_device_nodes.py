"""Makes a device node of the host's disk.

group: escape
weaken: filter
"""

from attack import *

# Without the filter, a user namespace says EPERM as well: a node that may be
# made everywhere, a whiteout (0, 0), tells the two apart.
answer = libc.mknod(b"node", 0o020666, 0)
if answer == 0:
    flag("a node of type character is made")
