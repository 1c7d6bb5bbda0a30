"""Uses up its time before its tests.

group: forgery
weaken: failclosed
expect: timeout
timeout: 1
tests: True
claims: passed > 0
"""

import time

time.sleep(10)
