"""Uses what prctl has beyond the ordinary.

group: escape
weaken: filter
"""

from attack import *

OPTIONS = {
    "machine checks": (33, 0, 2, 0, 0), "memory map": (35, 14, 0, 0, 0), "ambient": (47, 4, 0, 0, 0),
    "speculation": (52, 0, 0, 0, 0), "dispatch": (59, 0, 0, 0, 0), "time stamps": (26, 1, 0, 0, 0),
}  # fmt: skip
for name, args in OPTIONS.items():
    if syscall(NR["prctl"], *args) >= 0:
        flag(name)
