"""Has its processes end before they are counted.

group: forgery
weaken: usage
claims: pids < 15
"""

import os
import time

children = []
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.5)
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
