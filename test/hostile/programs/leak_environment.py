"""Finds the daemon's environment in its own.

group: leak
weaken: environment
"""

from attack import *

SENT = {
    "PATH", "HOME", "PWD", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TERM",
    "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "IPYTHONDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME",
    "MPLBACKEND", "TCID_NETWORK", "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_INPUT", "PIP_RETRIES",
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS", "LOKY_MAX_CPU_COUNT", "PYTHON_CPU_COUNT", "VICTIM",
    "OPENBLAS_THREAD_TIMEOUT",
}  # fmt: skip
with open("/proc/self/environ", "rb") as f:
    started = {v.partition(b"=")[0].decode() for v in f.read().split(b"\0") if v}
more = sorted((set(os.environ) | started) - SENT)
if more:
    flag("variables: %s" % more)
