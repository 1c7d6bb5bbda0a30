"""Announces a frame of 1 GiB and sends much of it, for the daemon to keep.

group: channel
weaken: framing
expect: crashed
timeout: 3
claims: daemon_mb > 120
"""

from attack import raw

raw((1 << 30).to_bytes(4, "big"))
for _ in range(160):
    raw(bytes(1 << 20))
