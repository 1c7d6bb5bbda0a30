# Executed by the host's interpreter, isolated (-I), with the names of modules as
# arguments. The last line of the output is what Go's type interpreter holds.
import json
import os
import site
import struct
import sys
import sysconfig

real = os.path.realpath
out = {
    "executable": real(sys.executable),
    "base": real(getattr(sys, "_base_executable", None) or sys.executable),
    "virtual": sys.prefix != sys.base_prefix,
    "implementation": sys.implementation.name,
    "version": list(sys.version_info[:3]),
    "bits": struct.calcsize("P") * 8,
    "prefix": real(sys.base_prefix),
    "exec_prefix": real(sys.base_exec_prefix),
    "stdlib": sorted({real(sysconfig.get_path(n)) for n in ("stdlib", "platstdlib")}),
    "packages": "",
    "wheel_dir": sysconfig.get_config_var("WHEEL_PKG_DIR") or "",
    "pip_dir": "",
    "pip_info": "",
    "pip_version": "",
    "cert_file": "",
    "modules": [],
}
# The directory that sysconfig names must be one that is looked in: Debian's
# Python 3.9 is of two minds.
places = [real(p) for p in site.getsitepackages()]
pure = real(sysconfig.get_path("purelib"))
out["packages"] = pure if pure in places else places[0]
try:
    import importlib.metadata
    import importlib.util

    spec = importlib.util.find_spec("pip")
    if spec and spec.submodule_search_locations:
        dist = importlib.metadata.distribution("pip")
        out["pip_dir"] = real(next(iter(spec.submodule_search_locations)))
        out["pip_info"] = real(str(dist._path))
        out["pip_version"] = dist.version
except Exception:
    pass  # no pip, or a broken one
try:
    import ssl

    out["cert_file"] = ssl.get_default_verify_paths().openssl_cafile
except Exception:
    pass
for name in sys.argv[1:]:
    try:
        __import__(name)
        out["modules"].append(name)
    except Exception:
        pass
print("\n" + json.dumps(out))
