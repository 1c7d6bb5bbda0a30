"""Sends half a character, which many decoders refuse.

group: channel
weaken: scan
expect: crashed
claims: status = ok
"""

from attack import say

say(b'{"type":"stdout","text":"\\ud800"}')
