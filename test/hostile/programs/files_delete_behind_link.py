"""Has a file of the host's deleted.

group: files
weaken: links
files: delete dir/victim
"""

from attack import *

os.symlink("/run/tcid-hostile.host", "dir")
