"""Leaves a process behind that answers for the code after it.

group: forgery
weaken: leftovers exit
expect: crashed
then: import os, time; time.sleep(2); result = os.path.exists('answer')
claims: then.result = true
"""

import os
import time

if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        time.sleep(1)
        with open("answer", "w") as f:
            f.write("forged")
        time.sleep(5)
    os._exit(0)
time.sleep(0.2)
os._exit(0)
