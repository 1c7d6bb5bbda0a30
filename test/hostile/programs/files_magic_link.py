"""Has a file fetched through the root directory of whoever looks.

group: files
weaken: links
files: download link, download dir/secret
"""

from attack import *

os.symlink("/proc/self/root/run/tcid-hostile.host/secret", "link")
os.symlink("/proc/self/root/run/tcid-hostile.host", "dir")
