"""Becomes a program that ends well.

group: forgery
weaken: exit
expect: crashed
claims: status = ok
"""

import os
import sys

os.execv(sys.executable, [sys.executable, "-c", "pass"])
