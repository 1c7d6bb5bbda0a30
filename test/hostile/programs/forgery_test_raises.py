"""Raises when it is tested.

group: forgery
weaken: failclosed
tests: answer == 42
claims: passed > 0
"""


class Answer:
    def __eq__(self, other):
        raise SystemExit(0)


answer = Answer()
