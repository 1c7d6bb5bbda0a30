"""Ends the process as if all were well.

group: forgery
weaken: exit
expect: crashed
claims: status = ok
"""

import os

os._exit(0)
