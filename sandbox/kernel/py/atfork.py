"""What modules of the standard library want done in a child of a fork.

A module that is imported may register functions that run around every fork of
the process. Those of threading and logging make locks anew that another thread
may have held, and forget threads that a fork does not copy. A zygote has one
thread, which holds none of them, so its children need nothing of that; it would
write to a fifth of all the memory that a short-lived kernel writes to, and each
page that a child writes to is copied. Processes that a kernel forks do need it,
since a kernel may have threads.
"""

import os

_SPARED = frozenset(("threading", "logging"))

_register = os.register_at_fork
_spared = []


def _register_later(**functions):
    if all(getattr(f, "__module__", None) in _SPARED for f in functions.values()):
        _spared.append(functions)
    else:
        _register(**functions)


def spare():
    """Keeps what the modules of the standard library register from now on out of
    forks, until restore is called in a child. What others register is run."""
    os.register_at_fork = _register_later


def restore():
    """In a kernel: its own forks do all that was registered."""
    os.register_at_fork = _register
    for functions in _spared:
        _register(**functions)
    _spared.clear()
