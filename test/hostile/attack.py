"""What several hostile programs need."""

import ctypes
import errno
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

#: numbers of system calls on x86_64
NR = {
    "read": 0, "mmap": 9, "ioctl": 16, "shmget": 29, "clone": 56, "fork": 57, "ptrace": 101, "syslog": 103,
    "setuid": 105, "setgid": 106, "personality": 135, "mlock": 149, "modify_ldt": 154, "pivot_root": 155,
    "prctl": 157, "arch_prctl": 158, "setrlimit": 160, "chroot": 161, "acct": 163, "mount": 165,
    "umount2": 166, "swapon": 167, "reboot": 169, "sethostname": 170, "iopl": 172, "init_module": 175,
    "quotactl": 179, "setxattr": 188, "io_setup": 206, "mbind": 237, "kexec_load": 246, "add_key": 248,
    "request_key": 249, "keyctl": 250, "inotify_init": 253, "unshare": 272, "splice": 275, "tee": 276,
    "vmsplice": 278, "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "kcmp": 312, "seccomp": 317,
    "bpf": 321, "userfaultfd": 323, "copy_file_range": 326, "io_uring_setup": 425, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsmount": 432, "clone3": 435, "pidfd_getfd": 438,
    "process_madvise": 440, "mount_setattr": 442, "landlock_create_ruleset": 444, "memfd_secret": 447,
}  # fmt: skip


def flag(text):
    """Says that an attack succeeded."""
    print("FLAG", text, flush=True)


def syscall(number, *args):
    """Makes a system call; returns its result, or the negative error number."""
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(ctypes.c_long(number), *wide)
    return result if result >= 0 else -ctypes.get_errno()


def refused(result):
    """Whether the filter answered a system call: it says EPERM or ENOSYS."""
    return result in (-errno.EPERM, -errno.ENOSYS)


def in_child(function, seconds=5):
    """Runs a function in a child, which may be killed for it; returns the
    child's wait status, or None when it did not end in time."""
    import signal
    import time

    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def kernels_of_others():
    """Process ids of Python in other sessions, where those can be seen. Whoever
    shares this session's users is one of the same daemon."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open("/proc/%s/cmdline" % name, "rb") as f:
                command = f.read()
            if b"kernel/__main__.py" in command and os.stat("/proc/" + name).st_uid == os.getuid():
                yield int(name)
        except OSError:
            continue


def channel():
    """The kernel's own connection to the daemon, which its code can always find:
    it stands in the frames that called it."""
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            for found in (value, getattr(value, "_channel", None)):
                if type(found).__name__ == "Channel" and hasattr(found, "unsent"):
                    return found
        frame = frame.f_back
    raise RuntimeError("there is no connection")


def say(body):
    """Sends a message, bytes of JSON, in the kernel's name and with the right number."""
    c = channel()
    with c.lock:
        c.append(body)
        c.pump()


def raw(data):
    """Writes bytes to the daemon, past the kernel's numbering."""
    import time

    conn, rest = channel().conn, memoryview(data)
    while rest:
        try:
            rest = rest[conn.send(rest) :]
        except BlockingIOError:
            time.sleep(0.002)


def framed(body):
    """A message, bytes, as it is written."""
    return len(body).to_bytes(4, "big") + body
