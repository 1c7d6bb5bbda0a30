"""Lists processes that are not its own.

group: leak
weaken: hidepid
"""

from attack import *

own = os.getuid()
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            owner = os.stat("/proc/" + name).st_uid
        except OSError:
            continue
        if owner != own:
            flag("process %s of user %d" % (name, owner))
