"""Takes away the names that its test needs.

group: forgery
weaken: failclosed
tests: answer == 42
claims: passed > 0
"""

answer = 41
del answer
