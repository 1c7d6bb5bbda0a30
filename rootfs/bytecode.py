# Executed by the host's interpreter: compiles the modules below the directories
# given, as far as no valid compiled module is there. The arguments are the
# image's root, as it is seen from here, a number and how many processes share
# the work, and the directories inside. Number 0 does nothing but tidy up, before
# all the others start.
import importlib.util
import os
import py_compile
import shutil
import sys

OURS = "." + sys.implementation.cache_tag + ".pyc"


def valid(source, cached):
    """Tell whether Python would take the compiled module for its source."""
    try:
        with open(cached, "rb") as f:
            header = f.read(16)
    except OSError:
        return False
    if len(header) < 16 or header[:4] != importlib.util.MAGIC_NUMBER:
        return False
    flags = int.from_bytes(header[4:8], "little")
    if flags & 1:
        with open(source, "rb") as f:
            return header[8:] == importlib.util.source_hash(f.read())
    info = os.stat(source)
    return (
        int.from_bytes(header[8:12], "little") == int(info.st_mtime) & 0xFFFFFFFF
        and int.from_bytes(header[12:], "little") == info.st_size & 0xFFFFFFFF
    )


def tidy(folder, names, files):
    """Remove what nothing imports: compiled modules of other versions of Python, or without source.

    And what a package put in the place of one: a directory, a link.
    """
    for name in files:
        path = os.path.join(folder, name)
        source = os.path.join(folder, "..", name[: -len(OURS)] + ".py")
        if not name.endswith(OURS) or os.path.islink(path) or not os.path.exists(source):
            os.unlink(path)
    for name in names:
        remove(os.path.join(folder, name))
    names.clear()


def remove(path):
    """Remove a directory, or a link to one."""
    if os.path.islink(path):
        os.unlink(path)
    else:
        shutil.rmtree(path)


def compile_one(source):
    """Compile a module unless that has been done."""
    cached = importlib.util.cache_from_source(source, optimization="")
    if valid(source, cached):
        return
    try:
        py_compile.compile(
            source,
            cfile=cached,
            dfile=source[len(root) :],
            doraise=True,
            # Valid whatever time the source has.
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except (py_compile.PyCompileError, UnicodeDecodeError, ValueError):
        # A template, or a test of wrong syntax: nobody can import it.
        if os.path.exists(cached):
            os.unlink(cached)


root, number, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
seen = 0
for top in sys.argv[4:]:
    for folder, names, files in os.walk(root + top):
        if os.path.basename(folder) == "__pycache__":
            if number == 0:
                tidy(folder, names, files)
            continue
        cache = os.path.join(folder, "__pycache__")
        if number == 0 and (os.path.islink(cache) or os.path.isfile(cache)):
            os.unlink(cache)
        names.sort()
        for name in sorted(files):
            source = os.path.join(folder, name)
            if number == 0 or not name.endswith(".py") or os.path.islink(source):
                continue
            seen += 1
            if seen % processes == number - 1:
                compile_one(source)
