"""Starts more threads than the session may have.

group: exhaustion
weaken: pids
pids: 40
memory_mb: 512
"""

from attack import *

import threading

stop = threading.Event()
threads = []
try:
    for _ in range(60):
        t = threading.Thread(target=stop.wait)
        t.start()
        threads.append(t)
    flag("60 threads run")
except RuntimeError as e:
    print("stopped at", len(threads), e)
finally:
    stop.set()
    for t in threads:
        t.join()
