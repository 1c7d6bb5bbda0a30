"""Leaves with exit code 0 from deep inside, before the work is done.

group: forgery
weaken: exit
expect: error
claims: status = ok
"""


def work(n):
    if n == 0:
        raise SystemExit
    try:
        work(n - 1)
    finally:
        pass


work(50)
