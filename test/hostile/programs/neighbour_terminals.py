"""Takes the pseudo-terminals, of which the host has a few thousand for everybody.

group: neighbour
weaken: terminals
"""

from attack import *

held = []
try:
    while len(held) < 600:
        held.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
    flag("%d pseudo-terminals, of one process" % len(held))
except OSError as e:
    print("stopped at", len(held), e)
for fd in held:
    os.close(fd)
