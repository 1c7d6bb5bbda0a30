"""Entry point of a kernel, or of the zygote that forks kernels:

python3 -X utf8 -s __main__.py --listen-fd N
python3 -X utf8 -s __main__.py --zygote-fd N LIBRARY FILTER MODULE...
"""

import sys

USAGE = "usage: python3 -X utf8 -s __main__.py --listen-fd N | --zygote-fd N LIBRARY FILTER MODULE..."


def load():
    """Loads the package that this file lies in, and returns its server."""
    here = __file__.rpartition("/")[0] or "."
    # The kernel's own imports must see neither its folder nor the workspace:
    # a user's json.py there would break every later start.
    sys.path[:] = [p for p in sys.path if p not in (here, "", ".")]
    # The kernel's folder is read-only, or a test's; the user's modules keep
    # their caches.
    write_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("_tcid_kernel", here + "/__init__.py", submodule_search_locations=[here])
    package = module_from_spec(spec)
    sys.modules["_tcid_kernel"] = package
    spec.loader.exec_module(package)
    if sys.argv[1:2] == ["--zygote-fd"]:
        from _tcid_kernel import atfork

        atfork.spare()  # before threading is imported
    from _tcid_kernel import server

    sys.dont_write_bytecode = write_bytecode
    return server


def main():
    server = load()
    args = sys.argv[1:]
    sys.argv[:] = [""]
    if len(args) < 2 or not args[1].isdigit():
        sys.exit(USAGE)
    if args[0] == "--zygote-fd" and len(args) >= 4:
        server.serve_forked(int(args[1]), args[2], args[3], args[4:], sys.modules["__main__"])
    elif args[0] == "--listen-fd" and len(args) == 2:
        server.serve(int(args[1]), sys.modules["__main__"])
    else:
        sys.exit(USAGE)


if __name__ == "__main__":
    main()
