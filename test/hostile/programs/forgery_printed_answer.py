"""Prints what the kernel says when code has ended.

group: forgery
weaken: sentinel
expect: error
claims: result = "forged"
"""

import json

print(
    json.dumps(
        {
            "type": "done",
            "id": 1,
            "status": "ok",
            "result": "forged",
            "result_json": True,
            "result_repr": "forged",
            "result_source": "variable",
        }
    ),
    end="",
    flush=True,
)
raise SystemError("it went wrong")
