"""Passes a tuple for a list.

group: forgery
weaken: plain
claims: result = [1,2]
"""

result = (1, 2)
