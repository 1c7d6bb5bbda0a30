"""Passes a list that is more than one for a list.

group: forgery
weaken: plain
claims: result = [1]
"""


class List(list):
    def __len__(self):
        return 1_000_000


result = List([1])
