"""Opens the kernel's settings for writing.

group: escape
weaken: masks
"""

from attack import *

for folder, _, names in os.walk("/proc/sys"):
    for name in names:
        try:
            os.close(os.open(os.path.join(folder, name), os.O_WRONLY))
            flag(os.path.join(folder, name))
        except OSError:
            pass
