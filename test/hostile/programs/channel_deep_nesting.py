"""Sends a display that nests 2,000 deep, for whoever decodes it with recursion.

group: channel
weaken: scan
expect: crashed
claims: status = ok
"""

from attack import say

say(b'{"type":"display_data","data":{"application/json":%s%s}}' % (b"[" * 2000, b"]" * 2000))
