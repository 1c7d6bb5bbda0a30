"""Takes a lease on a file, to be told when others open it.

group: neighbour
weaken: filter
"""

from attack import *

import fcntl

fd = os.open("mine", os.O_CREAT | os.O_RDONLY)
try:
    fcntl.fcntl(fd, 1024, fcntl.F_RDLCK)
    flag("a lease is held")
except OSError as e:
    print(e)
