"""Ignores the end of its time, and takes as long as it likes.

group: forgery
weaken: ladder
expect: timeout
timeout: 1
claims: took_s > 10
"""

import signal
import time

signal.signal(signal.SIGINT, signal.SIG_IGN)
end = time.monotonic() + 12
while time.monotonic() < end:
    time.sleep(0.1)
