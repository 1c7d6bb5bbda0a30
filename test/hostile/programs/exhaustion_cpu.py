"""Takes more processor time than the session may have.

group: exhaustion
weaken: cpu
cpus: 0.2
"""

from attack import *

import time

children = []
begin, before = time.monotonic(), os.times()
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            pass
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
after = os.times()
used = after.children_user + after.children_system - before.children_user - before.children_system
share = used / (time.monotonic() - begin)
print("%.2f processors" % share)
if share > 0.5:
    flag("%.2f processors" % share)
