"""Lists the host's processes and their command lines.

group: leak
weaken: pidns
"""

from attack import *

for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            with open("/proc/%s/cmdline" % name, "rb") as f:
                command = f.read()
        except OSError:
            continue
        if command and b"kernel/__main__.py" not in command:
            flag("%s: %s" % (name, command.replace(b"\0", b" ").decode(errors="replace")[:30]))
