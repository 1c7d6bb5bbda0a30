"""Says hello again, with other numbers.

group: channel
weaken: order shapes
expect: crashed
claims: status = ok
"""

from attack import framed, raw

raw(
    framed(
        b'{"type":"hello","protocol":1,"python":"3.11.0","shell":"plain","pid":1,'
        b'"next_seq":1,"acked":0,"last_id":0,"active":null}'
    )
)
