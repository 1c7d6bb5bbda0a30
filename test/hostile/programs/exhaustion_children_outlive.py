"""Leaves processes behind that take memory after the cell.

group: exhaustion
weaken: pids memory
pids: 40
memory_mb: 96
expect: ok error memory_limit crashed
"""

from attack import *

import time

pids = []
try:
    for _ in range(50):
        pid = os.fork()
        if pid == 0:
            held = bytearray(os.urandom(1 << 20) * 4)
            time.sleep(3)
            os._exit(len(held) & 1)
        pids.append(pid)
except OSError as e:
    print("stopped at", len(pids), e)
time.sleep(1.5)
alive = 0
for pid in pids:
    done, _ = os.waitpid(pid, os.WNOHANG)
    alive += not done
print(alive, "hold 4 MiB each")
if alive > 45:
    flag("%d children hold 4 MiB each" % alive)
