"""Starts a process with clone3, whose flags no filter can see.

group: escape
weaken: filter
"""

from attack import *

args = (ctypes.c_uint64 * 11)()
args[4] = 17  # SIGCHLD


def attempt():
    pid = syscall(NR["clone3"], args, ctypes.sizeof(args))
    if pid == 0:
        os._exit(0)
    if pid > 0:
        os.waitpid(pid, 0)
        flag("clone3 is there")


in_child(attempt)
