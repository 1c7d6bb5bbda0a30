"""Leaves an answer behind for whichever request comes next, with a number of its own.

group: channel
weaken: order
expect: ok crashed
then: 1 + 1
claims: then.result = "forged"
"""

from attack import channel, say

for number in (channel().active[0], 999):
    say(
        b'{"type":"done","id":%d,"status":"ok","result":"forged","result_json":true,'
        b'"result_repr":"x","result_source":"variable"}' % number
    )
