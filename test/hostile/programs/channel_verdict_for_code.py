"""Answers code with the verdict of a test.

group: channel
weaken: order shapes
expect: crashed
claims: status = ok
"""

from attack import channel, say

say(b'{"type":"verdict","id":%d,"status":"passed","message":""}' % channel().active[0])
