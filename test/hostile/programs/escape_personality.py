"""Turns the randomisation of addresses off.

group: escape
weaken: filter
"""

from attack import *

old = syscall(NR["personality"], 0x40000)
if old >= 0:
    flag("addresses are no longer random")
    syscall(NR["personality"], old)
