"""Starts more processes than the session may have.

group: exhaustion
weaken: pids
pids: 40
memory_mb: 512
"""

from attack import *

import signal

children = []
try:
    for _ in range(60):
        pid = os.fork()
        if pid == 0:
            signal.pause()
        children.append(pid)
    flag("60 processes run")
except OSError as e:
    print("stopped at", len(children), e)
finally:
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
