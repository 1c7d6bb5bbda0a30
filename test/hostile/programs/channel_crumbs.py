"""Writes in turn to both streams, a byte at a time, for the daemon to keep each as a piece.

group: channel
weaken: items
expect: ok
timeout: 60
claims: outputs > 60000
"""

import sys

for _ in range(50_000):
    sys.stdout.write("o")
    sys.stdout.flush()
    sys.stderr.write("e")
    sys.stderr.flush()
