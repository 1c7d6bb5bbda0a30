"""Is equal to everything, which a test beside it can't see through: it must say so.

group: forgery
weaken: integrity
tests: answer == 42
claims: passed > 0; integrity = external
"""


class Answer:
    def __eq__(self, other):
        return True


answer = Answer()
