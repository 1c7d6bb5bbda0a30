"""Has a process work that is not its child.

group: forgery
weaken: usage
claims: cpu_ms < 500
"""

import os
import time

pid = os.fork()
if pid == 0:
    if os.fork() == 0:  # nobody waits for this one
        end = time.process_time() + 1
        while time.process_time() < end:
            pass
    os._exit(0)
os.waitpid(pid, 0)
time.sleep(1.5)
