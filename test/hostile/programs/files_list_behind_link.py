"""Has a directory of the host's listed.

group: files
weaken: links
files: list dir
"""

from attack import *

os.symlink("/run/tcid-hostile.host", "dir")
