"""Leaves a chroot that it made, as jails of old are left.

group: escape
weaken: filter caps
"""

from attack import *


def attempt():
    os.mkdir("jail")
    here = os.open("/", os.O_RDONLY)
    if syscall(NR["chroot"], b"jail"):
        return
    flag("chroot")
    os.fchdir(here)
    for _ in range(16):
        os.chdir("..")
    print(os.listdir("."))


in_child(attempt)
