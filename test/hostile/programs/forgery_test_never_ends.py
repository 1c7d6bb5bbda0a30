"""Never answers when it is tested.

group: forgery
weaken: failclosed
tests: answer == 42
claims: passed > 0
"""

import time


class Answer:
    def __eq__(self, other):
        while True:
            time.sleep(0.1)


answer = Answer()
