# Executed by the host's interpreter, isolated (-I): runs its pip, or that of the
# wheel which is the first argument, with the arguments that follow. pip gets no
# way to start a program. Else the dependencies that a wheel names could make it
# build something, whatever --only-binary says: building runs the package's code.
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


def refuse(event, args):
    """Stand in the way of every program."""
    if event in STARTS:
        # An OSError, as pip's own harmless attempts, such as at lsb_release,
        # expect one.
        raise PermissionError("building from source would run the package's code; only wheels are installed")


if sys.argv[1]:
    sys.path.insert(0, sys.argv[1])
sys.argv = ["pip"] + sys.argv[2:]
sys.addaudithook(refuse)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
