"""Handles the signal that tells of the time limit.

group: forgery
weaken: timeout
expect: timeout
timeout: 1
claims: status = ok
"""

import signal
import time

over = []
signal.signal(signal.SIGINT, lambda *_: over.append(1))
while not over:
    time.sleep(0.05)
result = "in time"
