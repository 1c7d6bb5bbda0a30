"""Makes System V semaphores, on which sessions could wait for each other.

group: neighbour
weaken: filter
"""

from attack import *

number = syscall(64, 0, 1, 0o600)  # semget, private
if number >= 0:
    flag("a semaphore")
    syscall(66, number, 0, 0, 0)
