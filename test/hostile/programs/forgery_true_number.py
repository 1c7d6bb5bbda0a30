"""Passes a number that says it is another.

group: forgery
weaken: plain
claims: result = 41
"""


class Number(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


result = Number(41)
