"""What a forked kernel must have of its own.

A fork is a copy: what the zygote drew at random, every kernel would know of
every other. Modules that were imported without drawing are left alone.
"""

import os
import sys
import time

HOME = b"/workspace"


def environment(variables):
    """Sets what the session has beyond what all have: NAME=VALUE, as bytes."""
    for variable in variables:
        name, value = os.fsdecode(variable).split("=", 1)
        os.environ[name] = value
    time.tzset()
    matplotlib = sys.modules.get("matplotlib")
    backend = os.environ.get("MPLBACKEND", "Agg")
    if matplotlib is not None and backend != "Agg":  # it has been read already
        matplotlib.rcParams["backend"] = backend


def directory(path):
    """Enters a directory of the workspace, from its root; one that has gone is no
    error."""
    if path:
        try:
            os.chdir(os.path.join(HOME, path))
        except OSError:
            pass


def identity(zygote_pid):
    """Has the main thread know its number, and draws anew. random does so by itself,
    and secrets, numpy's new generators and uuid4 ask the system each time."""
    modules = sys.modules
    main = modules["threading"].main_thread()
    if hasattr(main, "_set_native_id"):
        main._set_native_id()
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    if "tempfile" in modules:
        modules["tempfile"]._name_sequence = None
    if "uuid" in modules:
        modules["uuid"]._node = modules["uuid"]._last_timestamp = None
    # OpenSSL notices a fork by the process id, which is the zygote's own by chance
    # in some namespace. Doing this always would take longer than the fork.
    if "ssl" in modules and os.getpid() == zygote_pid:
        modules["ssl"].RAND_add(os.urandom(64), 64.0)
    if "multiprocessing.process" in modules:
        modules["multiprocessing.process"].current_process().authkey = os.urandom(32)
