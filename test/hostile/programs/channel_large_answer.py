"""Sends a result of 3 MiB, past the kernel's own bound.

group: channel
weaken: order shapes
expect: crashed
claims: status = ok
"""

from attack import channel, say

say(
    b'{"type":"done","id":%d,"status":"ok","result_json":true,"result_repr":"x",'
    b'"result_source":"variable","result":"%s"}' % (channel().active[0], b"x" * (3 << 20))
)
