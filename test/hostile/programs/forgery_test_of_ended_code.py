"""Ends before its tests.

group: forgery
weaken: failclosed
expect: crashed
tests: True
claims: passed > 0
"""

import os

os._exit(0)
