"""Reads how the kernel was built and which drivers it has.

group: leak
weaken: masks
"""

from attack import *

for path in (
    "/proc/config.gz",
    "/proc/tty/drivers",
    "/proc/iomem",
    "/proc/ioports",
    "/proc/irq/0/spurious",
    "/proc/scsi/scsi",
):
    try:
        with open(path, "rb") as f:
            if f.read(64):
                flag(path)
    except OSError as e:
        print(path, e)
