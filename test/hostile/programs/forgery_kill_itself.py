"""Has a signal end the process.

group: forgery
weaken: exit
expect: crashed
claims: status = ok
"""

import os
import signal

os.kill(os.getpid(), signal.SIGKILL)
