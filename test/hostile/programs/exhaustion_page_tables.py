"""Takes memory for page tables instead of pages.

group: exhaustion
weaken: memory
expect: memory_limit
memory_mb: 64
timeout: 60
"""

from attack import *

import mmap

# A page in every 2 MiB: 8 KiB of memory each, the half of it page tables.
area = mmap.mmap(
    -1, 48 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=mmap.PROT_READ | mmap.PROT_WRITE
)
if hasattr(area, "madvise"):
    area.madvise(15)  # no huge pages
for offset in range(0, 48 << 30, 2 << 20):
    area[offset] = 1
flag("%d MiB of pages and page tables" % ((48 << 10) // 256))
