"""Sends an event whose number is far ahead.

group: channel
weaken: order
expect: crashed
claims: status = ok
"""

from attack import framed, raw

raw(framed(b'{"seq":1000000,"type":"stdout","text":"from nowhere"}'))
