# Executed by the host's interpreter, isolated (-I): runs its pip, or that of the
# wheel which is the first argument, with the arguments that follow. The working
# directory is where pip may write.
#
# pip gets no way to start a program. Else the dependencies that a wheel names
# could make it build something, whatever --only-binary says: building runs the
# package's code. Nor can it write elsewhere: versions of pip have followed what
# a wheel calls its scripts to any path.
import os
import runpy
import sys

STARTS = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.spawn",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
}
# Events of changes, and which of their arguments are paths.
CHANGES = {
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.link": (1,),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.rmdir": (0,),
    "os.symlink": (1,),
    "os.truncate": (0,),
}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
home = os.path.expanduser("~")
CACHES = (
    os.environ.get("PIP_CACHE_DIR") or "",
    os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), "pip"),
)
ROOTS = tuple(os.path.realpath(path) + os.sep for path in (os.getcwd(), *CACHES) if path)


def refuse(event, args):
    """Stand in the way of every program, and of writing elsewhere."""
    # PermissionError, as pip's own harmless attempts, such as at lsb_release and
    # at writing its compiled modules, expect an OSError.
    if event in STARTS:
        raise PermissionError("building from source would run the package's code; only wheels are installed")
    if event == "open":
        paths = args[:1] if isinstance(args[2], int) and args[2] & WRITES else ()
    elif event in CHANGES and (event == "os.truncate" or args[-1] == -1):
        # Else the last argument is a directory that pip has opened.
        paths = [args[n] for n in CHANGES[event]]
    else:
        return
    for path in paths:
        if isinstance(path, (str, bytes)):
            path = os.path.realpath(os.fsdecode(path))
            if not (path + os.sep).startswith(ROOTS) and path != os.devnull:
                raise PermissionError("a package would be written outside of the image: " + path)


if sys.argv[1]:
    sys.path.insert(0, sys.argv[1])
sys.argv = ["pip"] + sys.argv[2:]
sys.addaudithook(refuse)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
