"""Replaces the programs that the daemon starts next in this container.

group: escape
weaken: readonly
"""

from attack import *

for path in ("/usr/lib/tcid/tcid-init", "/usr/lib/tcid/filter", "/usr/lib/tcid/kernel"):
    try:
        os.rename(path, path + ".old")
        flag(path + " can be replaced")
        os.rename(path + ".old", path)
    except OSError as e:
        print(path, e)
