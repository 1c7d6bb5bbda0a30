"""Has a file fetched through the working directory of whoever looks.

group: files
weaken: links
files: download link
"""

from attack import *

os.symlink("/proc/self/cwd/../../../../../../../../run/tcid-hostile.host/secret", "link")
