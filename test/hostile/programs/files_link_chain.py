"""Has links to links to a file of the host's fetched.

group: files
weaken: links
files: download l0
"""

from attack import *

for n in range(5):
    os.symlink("l%d" % (n + 1), "l%d" % n)
os.symlink("/run/tcid-hostile.host/secret", "l5")
