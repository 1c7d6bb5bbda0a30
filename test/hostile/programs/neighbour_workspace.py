"""Reads the files of another session in the directories that look like its own.

group: neighbour
weaken: tmpfs
victim: yes
"""

from attack import *

for folder in ("/workspace", "/tmp", "/dev/shm"):
    for name in os.listdir(folder):
        if name != "attack.py" and not name.startswith("."):
            try:
                with open(os.path.join(folder, name)) as f:
                    flag("%s/%s: %s" % (folder, name, f.read(64)))
            except OSError as e:
                print(folder, name, e)
