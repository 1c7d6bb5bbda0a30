"""Becomes another user of the container.

group: escape
weaken: filter caps
"""

from attack import *

for name in ("setuid", "setgid"):
    answer = syscall(NR[name], 0)
    if not refused(answer):
        flag("%s(0) answers %d" % (name, answer))
