"""Sends output with an answer's fields.

group: channel
weaken: order shapes
expect: crashed
claims: status = ok
"""

from attack import say

say(b'{"type":"stdout","text":"x","id":1,"status":"ok"}')
