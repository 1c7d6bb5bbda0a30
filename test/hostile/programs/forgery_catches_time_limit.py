"""Catches the end of its time and goes on as if it were in time.

group: forgery
weaken: timeout
expect: timeout
timeout: 1
claims: status = ok
"""

import time

try:
    time.sleep(10)
except KeyboardInterrupt:
    pass
result = "in time"
