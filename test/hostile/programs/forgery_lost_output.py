"""Prints far more than is kept.

group: forgery
weaken: output
claims: output_mb < 23
"""

for _ in range(24):
    print("x" * (1 << 20))
