"""Entry point: python3 -X utf8 -s __main__.py --listen-fd N."""

import sys


def start():
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
    from _tcid_kernel import server

    sys.dont_write_bytecode = write_bytecode
    args = sys.argv[1:]
    if len(args) != 2 or args[0] != "--listen-fd" or not args[1].isdigit():
        sys.exit("usage: python3 -X utf8 -s __main__.py --listen-fd N")
    sys.argv[:] = [""]
    server.serve(int(args[1]), sys.modules["__main__"])


if __name__ == "__main__":
    start()
