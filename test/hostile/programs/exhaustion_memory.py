"""Takes twice the memory that the session may have.

group: exhaustion
weaken: memory
expect: memory_limit
memory_mb: 128
"""

from attack import *

held = []
for _ in range(16):
    held.append(bytearray(os.urandom(1 << 20) * 16))  # 16 MiB each, all different pages
flag("256 MiB are taken")
