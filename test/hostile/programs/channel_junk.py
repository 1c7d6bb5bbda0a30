"""Sends a frame that is no JSON.

group: channel
weaken: order shapes
expect: crashed
claims: status = ok
"""

from attack import framed, raw

raw(framed(b"\x00\x01 this is not JSON"))
