"""A server of OpenAI's chat format whose model answers from a script.

It wants code to be run twice, the second time with a variable of the first,
and then answers with what came back. Where a request brings no tools, it writes
its code into the text, as smolagents' agents expect it.
"""

from __future__ import annotations

import http.server
import json
import threading
import time
from typing import Any

STEPS = [
    "primes = [n for n in range(2, 8000) if all(n % d for d in range(2, int(n**0.5) + 1))]\nlen(primes)",
    "primes[999]",
]
ANSWER = "The 1000th prime is"


class Model(http.server.BaseHTTPRequestHandler):
    """Answers POST /v1/chat/completions."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = reply(body["messages"], bool(body.get("tools")))
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
                }
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def reply(messages: list[dict[str, Any]], tools: bool) -> dict[str, Any]:
    """The model's next message."""
    turn = sum(1 for message in messages if message["role"] == "assistant")
    if not tools:
        code = STEPS[0] if turn == 0 else f'final_answer(f"{ANSWER} {{primes[999]}}.")'
        return {"role": "assistant", "content": f"Thought: compute it.\n<code>\n{code}\n</code>"}
    if turn < len(STEPS):
        call = {"name": "run_python", "arguments": json.dumps({"code": STEPS[turn]})}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": f"call_{turn}", "type": "function", "function": call}],
        }
    return {"role": "assistant", "content": f"{ANSWER} {messages[-1]['content'].strip()}."}


def serve() -> str:
    """Serves until the process ends; returns the base URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/v1"
