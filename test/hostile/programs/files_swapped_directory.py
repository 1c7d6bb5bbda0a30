"""Exchanges a directory for a link while a file in it is fetched.

group: files
weaken: links
files: download dir/secret, during
timeout: 30
"""

from attack import *

import time

RENAMEAT2, EXCHANGE = 316, 2
os.mkdir("dir")
with open("dir/secret", "w") as f:
    f.write("of the session")
os.symlink("/run/tcid-hostile.host", "other")
end = time.monotonic() + 4
while time.monotonic() < end:
    syscall(RENAMEAT2, -100, b"dir", -100, b"other", EXCHANGE)
