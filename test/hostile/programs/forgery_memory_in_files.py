"""Keeps its data in files in memory, and deletes them before it is looked at.

group: forgery
weaken: usage
disk_mb: 256
claims: memory_mb < 100
"""

import os

with open("data", "wb") as f:
    for _ in range(120):
        f.write(bytes(1 << 20))
os.unlink("data")
