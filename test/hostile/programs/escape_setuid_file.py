"""Runs a program as root through a file that says so.

group: escape
weaken: caps filter nosuid privs
"""

from attack import *

import shutil
import subprocess

shutil.copy(sys.executable, "program")
try:
    os.chown("program", 0, 0)
except OSError as e:
    print(e)
os.chmod("program", 0o6755)
code = "import os; print(os.geteuid())"
done = subprocess.run(
    ["./program", "-c", code], capture_output=True, text=True, env={"PYTHONHOME": sys.prefix}
)
print(done)
if done.stdout.strip() == "0":
    flag("a program runs as root")
