"""A LangChain tool that runs Python, and a model that uses it.

OPENAI_API_KEY=... python3 langchain_tool.py "What is the 1000th prime?"
"""

from __future__ import annotations

import base64
import os
import sys
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.tools import BaseTool, tool
from langchain_openai import ChatOpenAI
from tci import Session, TCIClient

MAX_TURNS = 10


def python_tool(session: Session) -> BaseTool:
    """A tool for one session; make one for each conversation."""

    @tool(response_format="content_and_artifact")
    def run_python(code: str) -> tuple[str, list[str]]:
        """Runs Python in a stateful, isolated session without network access and
        returns what it shows: output, the value of the last expression, or the
        traceback. Variables and files stay for later calls."""
        execution = session.run(code, timeout=30)
        note = "" if execution.ok else f"\n[{execution.status}]"
        # Charts are for the program: the model reads the text.
        images = [base64.b64encode(image).decode() for image in execution.images]
        return (execution.text + note) or "(no output)", images

    return run_python


def ask(model: Any, session: Session, question: str) -> str:
    """Asks a question and runs what the model wants to be run."""
    run_python = python_tool(session)
    bound = model.bind_tools([run_python])
    messages: list[BaseMessage] = [HumanMessage(question)]
    for _ in range(MAX_TURNS):
        answer = bound.invoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            return str(answer.content)
        messages += [run_python.invoke(call) for call in answer.tool_calls]
    raise RuntimeError(f"the model has not come to an end after {MAX_TURNS} turns")


if __name__ == "__main__":
    with TCIClient().sessions.create(idle_timeout=300) as own:
        chat = ChatOpenAI(model=os.environ.get("MODEL", "gpt-5-mini"))
        print(ask(chat, own, " ".join(sys.argv[1:]) or "What is the 1000th prime?"))
