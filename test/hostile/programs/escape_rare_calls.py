"""Makes system calls that no program here needs, with arguments that do nothing.

group: escape
weaken: filter
"""

from attack import *

CALLS = {
    "remap_file_pages": (216, 0, 0, 0, 0, 0), "set_mempolicy": (238, 0, 0, 0),
    "get_mempolicy": (239, 0, 0, 0, 0, 0), "ioprio_set": (251, 9, 0, 0),
    "migrate_pages": (256, -1, 0, 0, 0), "move_pages": (279, 0, 0, 0, 0, 0, 0),
    "quotactl": (179, 0x800005FF, 0, 0, 0), "kcmp": (312, 1 << 30, 1 << 30, 0, 0, 0),
    "sched_setattr": (314, 0, 0, 0), "pidfd_getfd": (438, -1, -1, 0),
    "process_madvise": (440, -1, 0, 0, 0, 0), "process_mrelease": (448, -1, 0),
    "set_mempolicy_home_node": (450, 0, 0, 0, 0), "io_setup": (206, 0, 0),
    "setxattr": (188, 0, 0, 0, 0, 0), "memfd_secret": (447, 1 << 20), "landlock": (444, 0, 0, 1),
    "add_key": (248, 0, 0, 0, 0, -1), "finit_module": (313, -1, 0, 1 << 20),
    "pkey_alloc": (330, 1, 0), "fanotify_init": (300, 1 << 30, 0),
}  # fmt: skip
for name, args in CALLS.items():
    result = syscall(*args)
    if not refused(result):
        flag("%s: %d" % (name, result))
