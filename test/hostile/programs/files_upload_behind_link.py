"""Has a file written into a directory of the host's.

group: files
weaken: links
files: upload dir/new
"""

from attack import *

os.symlink("/run/tcid-hostile.host", "dir")
