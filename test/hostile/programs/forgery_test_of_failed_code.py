"""Fails before its tests, which then can't be held against it.

group: forgery
weaken: failclosed
expect: error
tests: True
claims: passed > 0
"""

raise SystemError("no tests, please")
