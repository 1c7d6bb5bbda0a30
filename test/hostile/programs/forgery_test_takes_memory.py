"""Takes all memory when it is tested.

group: forgery
weaken: failclosed
memory_mb: 128
tests: answer == 42
claims: passed > 0
"""


class Answer:
    def __eq__(self, other):
        return bytearray(1 << 30)


answer = Answer()
