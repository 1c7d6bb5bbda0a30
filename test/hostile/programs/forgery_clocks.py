"""Turns the clocks that its process reads back.

group: forgery
weaken: wall
claims: wall_ms < 900
"""

import time

real = time.time, time.monotonic, time.perf_counter
begun = [clock() for clock in real]
time.sleep(1)
time.time, time.monotonic, time.perf_counter = (lambda at=at: at for at in begun)
