"""Has a process work that is not its child.

group: forgery
weaken: usage
claims: cpu_ms < 500
"""

import os
import time

reading, writing = os.pipe()
pid = os.fork()
if pid == 0:
    if os.fork() == 0:  # nobody waits for this one, as for a child
        end = time.process_time() + 1
        while time.process_time() < end:
            pass
    os._exit(0)
os.close(writing)
os.waitpid(pid, 0)
os.read(reading, 1)  # until it has done its work, however busy the machine is
