"""Makes namespaces with clone, one by one and with useless bits around.

group: escape
weaken: filter nested
"""

from attack import *

FLAGS = {
    "user": 0x10000000,
    "mnt": 0x20000,
    "pid": 0x20000000,
    "net": 0x40000000,
    "ipc": 0x8000000,
    "uts": 0x4000000,
}


def attempt():
    for name, bit in FLAGS.items():
        # The kernel reads only the low half of the flags here.
        for flags in (bit, bit | 0x10000000, bit | 0x10000000 | 1 << 40):
            pid = syscall(NR["clone"], flags | 17, 0, 0, 0, 0)
            if pid == 0:
                os._exit(0)
            if pid > 0:
                os.waitpid(pid, 0)
                flag("a process in a new %s namespace" % name)


in_child(attempt)
