"""Makes message queues that other sessions could open by name.

group: neighbour
weaken: filter rlimits
"""

from attack import *

# mq_open: O_CREAT | O_RDWR
queue = syscall(240, b"tcid-hostile", 0o102, 0o600, None)
if queue >= 0:
    flag("a POSIX queue")
    os.close(queue)
    syscall(241, b"tcid-hostile")
queue = syscall(68, 0, 0o600)  # msgget, private
if queue >= 0:
    flag("a System V queue")
    syscall(71, queue, 0, 0)
