"""Types into a terminal as if its user did.

group: escape
weaken: filter
"""

from attack import *

import fcntl
import termios


def attempt():
    os.setsid()
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(master, 0x40045431, b"\0\0\0\0")  # unlock the other side
    number = int.from_bytes(fcntl.ioctl(master, 0x80045430, b"\0\0\0\0"), "little")
    side = os.open("/dev/pts/%d" % number, os.O_RDWR)
    fcntl.ioctl(side, termios.TIOCSTI, b"x")
    flag("typed")


in_child(attempt)
