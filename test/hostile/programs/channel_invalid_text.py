"""Sends bytes that are no UTF-8.

group: channel
weaken: scan
expect: crashed
claims: status = ok
"""

from attack import say

say(b'{"type":"stdout","text":"\xff\xfe"}')
