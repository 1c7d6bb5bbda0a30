"""Sends an event with a number that has been.

group: channel
weaken: order
expect: crashed
claims: status = ok
"""

from attack import channel, framed, raw

print("a first event", flush=True)
raw(framed(b'{"seq":%d,"type":"stdout","text":"once more"}' % channel()._last()[0]))
