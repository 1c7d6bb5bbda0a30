"""Answers a request that nobody made.

group: channel
weaken: order
expect: crashed
claims: result = "forged"
"""

from attack import say

say(
    b'{"type":"done","id":999,"status":"ok","result":"forged","result_json":true,'
    b'"result_repr":"x","result_source":"variable"}'
)
