"""Opens more files than the session may have.

group: exhaustion
weaken: rlimits
"""

from attack import *

held = []
try:
    for _ in range(4000):
        held.append(os.open("/dev/null", os.O_RDONLY))
    flag("%d files are open" % len(held))
except OSError as e:
    print("stopped at", len(held), e)
finally:
    for fd in held:
        os.close(fd)
