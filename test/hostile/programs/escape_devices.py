"""Opens devices of the host.

group: escape
weaken: devices
"""

from attack import *

KNOWN = {
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "ptmx",
    "tty",
    "pts",
    "shm",
    "fd",
    "stdin",
    "stdout",
    "stderr",
}
for name in sorted(set(os.listdir("/dev")) - KNOWN):
    try:
        os.close(os.open("/dev/" + name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))
        flag("/dev/" + name)
    except OSError as e:
        print(name, e)
