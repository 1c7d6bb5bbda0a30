"""Sends the verdict of a test before the test, as the answer to a request that nobody made.

group: forgery
weaken: order
expect: ok crashed
tests: answer == 42
claims: passed > 0
"""

from attack import channel, say

number = channel().active[0]
say(b'{"type":"done","id":%d,"status":"ok","result_json":false,"result_source":"none"}' % number)
say(b'{"type":"verdict","id":999,"status":"passed","message":""}')
answer = 41
