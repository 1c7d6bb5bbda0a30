"""A smolagents agent whose code runs in a session, not in this process.

OPENAI_API_KEY=... python3 smolagents_executor.py "What is the 1000th prime?"
"""

from __future__ import annotations

import os
import sys
from typing import Any

from smolagents import AgentLogger, CodeAgent, LogLevel, OpenAIServerModel
from smolagents.local_python_executor import CodeOutput
from smolagents.remote_executors import RemotePythonExecutor
from tci import Session, TCIClient


class TCIExecutor(RemotePythonExecutor):
    """Runs an agent's code in a session. The agent's tools must be self-contained:
    their source is sent to the session, where the image's packages are all there is.
    """

    def __init__(self, session: Session, timeout: float = 60, logger: Any = None) -> None:
        super().__init__([], logger or AgentLogger(level=LogLevel.ERROR))
        self._session = session
        self._timeout = timeout

    def run_code_raise_errors(self, code: str) -> CodeOutput:
        execution = self._session.run(code, timeout=self._timeout)
        if execution.ok:
            return CodeOutput(output=execution.result, logs=execution.text, is_final_answer=False)
        failure = execution.error
        if failure is not None and failure.name == self.FINAL_ANSWER_EXCEPTION:
            # The tool final_answer ends the code by this exception.
            answer = self._deserialize_final_answer(failure.value)
            return CodeOutput(output=answer, logs=execution.stdout, is_final_answer=True)
        raise RuntimeError(f"{execution.text}\n[{execution.status}]")

    def install_packages(self, additional_imports: list[str]) -> list[str]:
        # Sessions have no network: packages come with the image.
        return additional_imports

    def cleanup(self) -> None:
        """Ends the session."""
        self._session.close()


if __name__ == "__main__":
    with TCIClient().sessions.create(idle_timeout=300) as own:
        agent = CodeAgent(
            tools=[],
            model=OpenAIServerModel(
                model_id=os.environ.get("MODEL", "gpt-5-mini"),
                api_base=os.environ.get("OPENAI_BASE_URL"),
                api_key=os.environ.get("OPENAI_API_KEY"),
            ),
            executor=TCIExecutor(own),
            max_steps=10,
        )
        print(agent.run(" ".join(sys.argv[1:]) or "What is the 1000th prime?"))
