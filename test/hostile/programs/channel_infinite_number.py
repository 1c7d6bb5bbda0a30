"""Sends a number that is greater than any other.

group: channel
weaken: scan
expect: crashed
claims: status = ok
"""

from attack import say

say(b'{"type":"display_data","data":{"application/json":1e999}}')
