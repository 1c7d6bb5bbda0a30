"""Takes time without working.

group: forgery
weaken: wall
claims: wall_ms < 900
"""

import time

time.sleep(1)
