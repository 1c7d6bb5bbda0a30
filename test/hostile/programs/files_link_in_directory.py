"""Has a file fetched from behind a link to a directory of the host's.

group: files
weaken: links
files: download dir/secret
"""

from attack import *

os.symlink("/run/tcid-hostile.host", "dir")
