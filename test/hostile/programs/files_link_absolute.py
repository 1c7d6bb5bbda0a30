"""Has a link to a file of the host's fetched.

group: files
weaken: links
files: download link
"""

from attack import *

os.symlink("/run/tcid-hostile.host/secret", "link")
