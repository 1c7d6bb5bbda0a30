"""Makes more files than the workspace may have.

group: exhaustion
weaken: disk
memory_mb: 512
disk_mb: 8
timeout: 60
"""

from attack import *

made = 0
try:
    for made in range(1, 6001):
        os.close(os.open("n%d" % made, os.O_CREAT | os.O_WRONLY))
    flag("%d files are made" % made)
except OSError as e:
    print("stopped at", made, e)
