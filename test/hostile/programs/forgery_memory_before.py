"""Gives its memory back before it is looked at.

group: forgery
weaken: usage
claims: memory_mb < 100
"""

import mmap

block = mmap.mmap(-1, 120 << 20)
for at in range(0, len(block), 4096):
    block[at] = 1
block.close()
