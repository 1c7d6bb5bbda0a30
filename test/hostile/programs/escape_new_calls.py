"""Makes the newest system calls, which an old list does not name.

group: escape
weaken: filter
"""

from attack import *

for number in range(449, 600):
    result = syscall(number, 0, 0, 0, 0, 0, 0)
    if not refused(result):
        flag("call %d: %d" % (number, result))
