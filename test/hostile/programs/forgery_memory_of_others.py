"""Has a child take the memory.

group: forgery
weaken: usage
claims: memory_mb < 100
"""

import os

pid = os.fork()
if pid == 0:
    block = bytearray(120 << 20)
    block[::4096] = b"x" * len(block[::4096])
    os._exit(0)
os.waitpid(pid, 0)
