"""The driver's side of a runner: a process that answers JSON lines."""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading
from typing import Any

#: longer than any call of the cases takes
TIMEOUT = 240


class RunnerError(Exception):
    """An answer of a runner that is an error."""

    def __init__(self, about: dict[str, Any]) -> None:
        super().__init__(about.get("message"))
        self.about = about

    def __str__(self) -> str:
        kind = (self.about.get("classes") or ["HTTP"])[0]
        return f"{kind} {self.about.get('status', '')} {self.about.get('message', '')!r:.500}"


class Runner:
    """A runner, talking to one daemon with one key."""

    def __init__(self, command: list[str], url: str, key: str) -> None:
        # Nothing of this shell's environment, such as a proxy, may matter.
        self.home = tempfile.mkdtemp(prefix="tci-runner.")
        self.stderr = pathlib.Path(self.home, "stderr")
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": self.home,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TOGETHER_BASE_URL": url + "/v1",
            "TOGETHER_API_KEY": key,
            "TOGETHER_NO_BANNER": "1",
        }
        with self.stderr.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
            )
        self.lock = threading.Lock()
        self.waiting: dict[int, concurrent.futures.Future[dict[str, Any]]] = {}
        self.last = 0
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        if not first:
            raise RuntimeError(f"{command[-1]} did not start: {self.complaints()}")
        hello = json.loads(first)
        self.client: str = hello["client"]
        self.lacks: str | None = hello["lacks"]
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def complaints(self) -> str:
        self.process.wait()
        return self.stderr.read_text("utf-8", "replace")[-2000:]

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            with self.lock:
                future = self.waiting.pop(answer["id"])
            future.set_result(answer)
        with self.lock:
            lost, self.waiting = self.waiting, {}
        for future in lost.values():
            future.set_exception(RuntimeError(f"the runner ended: {self.complaints()}"))

    def call(self, op: str, key: str | None, args: dict[str, Any]) -> Any:
        """Lets the runner play one operation; raises RunnerError."""
        future: concurrent.futures.Future[dict[str, Any]] = concurrent.futures.Future()
        with self.lock:
            self.last += 1
            self.waiting[self.last] = future
            request = {"id": self.last, "op": op, "key": key, "args": args}
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        answer = future.result(TIMEOUT)
        if "error" in answer:
            raise RunnerError(answer["error"])
        return answer["answer"]

    def stop(self) -> None:
        """Ends the process; what it still waits for is of no interest."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        shutil.rmtree(self.home)
