"""A model with a function to run Python, in the format of OpenAI's API.

    OPENAI_API_KEY=... python3 function_calling.py "What is the 1000th prime?"

Any server of that format will do: OPENAI_BASE_URL names it, MODEL the model.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from openai import OpenAI
from tci import Session, TCIClient

#: The function, as the API describes functions.
RUN_PYTHON = {
    "type": "function",
    "function": {
        "name": "run_python",
        "description": (
            "Runs Python in a stateful, isolated session without network access and returns what it shows: "
            "output, the value of the last expression, or the traceback. Variables and files stay for later "
            "calls."
        ),
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "Python source."}},
            "required": ["code"],
            "additionalProperties": False,
        },
    },
}

MAX_TURNS = 10


def run_python(session: Session, arguments: str) -> str:
    """Answers a call of the function. Whatever is wrong is for the model to read."""
    try:
        code = json.loads(arguments)["code"]
    except (ValueError, KeyError, TypeError):
        return 'The arguments must be a JSON object with the key "code".'
    execution = session.run(code, timeout=30)
    note = "" if execution.ok else f"\n[{execution.status}]"
    return (execution.text + note) or "(no output)"


def ask(model: OpenAI, session: Session, question: str) -> str:
    """Asks a question and runs what the model wants to be run."""
    messages: list[Any] = [{"role": "user", "content": question}]
    for _ in range(MAX_TURNS):
        completion = model.chat.completions.create(
            model=os.environ.get("MODEL", "gpt-5-mini"), messages=messages, tools=[RUN_PYTHON]
        )
        message = completion.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return message.content or ""
        for call in message.tool_calls:
            output = run_python(session, call.function.arguments)
            print(f"--- ran\n{call.function.arguments}\n--- got\n{output}", file=sys.stderr)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": output})
    raise RuntimeError(f"the model has not come to an end after {MAX_TURNS} turns")


if __name__ == "__main__":
    with TCIClient().sessions.create(idle_timeout=300) as own:
        print(ask(OpenAI(), own, " ".join(sys.argv[1:]) or "What is the 1000th prime?"))
