"""Signals PID 1.

group: escape
weaken: caps
"""

from attack import *

try:
    os.kill(1, 0)
    flag("PID 1 takes signals")
except OSError as e:
    print(e)
