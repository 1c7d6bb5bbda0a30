"""Prints that all is well, then fails.

group: forgery
weaken: sentinel
expect: error
claims: status = ok
"""

import json

done = {"type": "done", "id": 1, "status": "ok", "result_json": False, "result_source": "none"}
print(json.dumps(done), end="", flush=True)
raise SystemError("it went wrong")
