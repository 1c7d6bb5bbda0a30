"""Leaves with exit code 0.

group: forgery
weaken: exit
expect: error
claims: status = ok
"""

import sys

sys.exit(0)
