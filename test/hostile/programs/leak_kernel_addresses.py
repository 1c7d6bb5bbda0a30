"""Reads what the kernel tells about itself.

group: leak
weaken: masks
"""

from attack import *

for path in ("/proc/kallsyms", "/proc/timer_list", "/proc/interrupts", "/proc/modules", "/proc/cmdline"):
    try:
        with open(path) as f:
            text = f.read(4096)
    except OSError as e:
        print(path, e)
        continue
    if text.strip():
        flag("%s: %d bytes" % (path, len(text)))
