"""Sends a message of a type that there is not.

group: channel
weaken: order shapes
expect: crashed
claims: status = ok
"""

from attack import say

say(b'{"type":"shutdown","text":"the daemon"}')
