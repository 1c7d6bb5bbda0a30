"""Traces a process.

group: escape
weaken: filter
"""

from attack import *

import time

pid = os.fork()
if pid == 0:
    time.sleep(5)
    os._exit(0)
if syscall(NR["ptrace"], 0x4206, pid, 0, 0) == 0:  # PTRACE_SEIZE
    flag("a process is traced")
os.kill(pid, 9)
os.waitpid(pid, 0)
