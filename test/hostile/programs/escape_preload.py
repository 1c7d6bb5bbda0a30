"""Has every program of the image load its own library first.

group: escape
weaken: readonly
"""

from attack import *

for path in ("/etc/ld.so.preload", "/etc/ld.so.cache.new", "/usr/lib/sitecustomize.py"):
    try:
        with open(path, "w"):
            pass
        os.unlink(path)
        flag(path + " can be written")
    except OSError as e:
        print(path, e)
