"""Passes a dictionary of numbers for one of names.

group: forgery
weaken: plain
claims: result = {"1":2}
"""

result = {1: 2}
