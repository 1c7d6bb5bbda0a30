"""How many threads the libraries for linear algebra use.

They read that from the environment when they are loaded, which in a zygote is
before the session that it is for is known; and the zygote itself must have one
thread. So the libraries that are loaded are found there, and told in the kernel.
"""

import ctypes

# Functions that set the number of threads, by library. OpenBLAS's have a prefix
# and a suffix where it comes with numpy or scipy.
_OPENBLAS = ["%sopenblas_set_num_threads%s" % (p, s) for p in ("", "scipy_") for s in ("", "64_", "_64")]
SETTERS = {
    "openblas": _OPENBLAS,
    "blis": ["bli_thread_set_num_threads"],
    "mkl_rt": ["MKL_Set_Num_Threads"],
    "libgomp": ["omp_set_num_threads"],
    "libomp": ["omp_set_num_threads"],
    "libiomp": ["omp_set_num_threads"],
}


class _Info(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))


def _loaded():
    """Paths of the shared libraries of this process."""
    paths = []
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Info), ctypes.c_size_t, ctypes.c_void_p)

    def note(info, size, data):
        name = info.contents.name
        if name:
            paths.append(name.decode("utf-8", "surrogateescape"))
        return 0

    iterate = ctypes.CDLL(None).dl_iterate_phdr
    iterate.argtypes, iterate.restype = [kind, ctypes.c_void_p], ctypes.c_int
    iterate(kind(note), None)
    return paths


def find():
    """The functions that set the number of threads, of all libraries loaded."""
    found = []
    for path in _loaded():
        file = path.rpartition("/")[2]
        for part, names in SETTERS.items():
            if part not in file:
                continue
            library = ctypes.CDLL(path)
            for name in names:
                function = getattr(library, name, None)
                if function is not None:
                    function.argtypes, function.restype = [ctypes.c_int], None
                    found.append(function)
    return found


def set_all(functions, count):
    for function in functions:
        function(count)
