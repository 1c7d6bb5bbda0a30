#!/usr/bin/env python3
"""Calls the tools by the MCP inspector's command line, a connection a call.

    inspector.py FOLDER stdio COMMAND [ARGUMENT...]
    inspector.py FOLDER http URL KEY

FOLDER holds node_modules. The daemon is the one that TCID_SOCKET names.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER, WAY, *TARGET = sys.argv[1:]
INSPECTOR = str(pathlib.Path(FOLDER, "node_modules", ".bin", "mcp-inspector"))
CONNECT = (
    ["--header", f"Authorization: Bearer {TARGET[1]}"]
    if WAY == "http"
    # Hosts of MCP servers hand down little of their environment.
    else ["-e", f"TCID_SOCKET={os.environ['TCID_SOCKET']}"]
)

SLOW = "import time\nfor i in range(600):\n    print(i)\n    time.sleep(0.1)"
CHART = """import matplotlib.pyplot as plt
plt.plot([1, 4, 9])
plt.show()
open("made.txt", "w").write("made")
len(open("made.txt").read())"""


def command(method: str, *options: str) -> list[str]:
    target = [TARGET[0]] if WAY == "http" else TARGET
    return [INSPECTOR, "--cli", *target, "--method", method, *CONNECT, *options]


def inspect(method: str, *options: str, strict: bool = True) -> dict[str, Any]:
    done = subprocess.run(command(method, *options), capture_output=True, text=True, timeout=120)
    if strict and done.returncode != 0:
        raise SystemExit(
            f"inspector: {method} {options} failed with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(
            f"inspector: {method} {options} printed no JSON:\n{done.stdout}{done.stderr}"
        ) from None
    return answer


def call(tool: str, strict: bool = True, **arguments: str) -> dict[str, Any]:
    pairs = [part for name, value in arguments.items() for part in ("--tool-arg", f"{name}={value}")]
    return inspect("tools/call", "--tool-name", tool, *pairs, strict=strict)


def sessions() -> list[dict[str, Any]]:
    out = subprocess.run(
        [str(ROOT / "bin" / "tcid"), "session", "ls", "--json"], capture_output=True, text=True, check=True
    )
    listed: list[dict[str, Any]] = json.loads(out.stdout)["data"]
    return listed


def wait(what: str, until: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise SystemExit(f"inspector: {what}: {sessions()}")
        time.sleep(0.1)


def main() -> None:
    tools = inspect("tools/list", "--strict")["tools"]
    assert len(tools) >= 7, tools

    chart = call("run_python", code=CHART)
    (image,) = [block for block in chart["content"] if block["type"] == "image"]
    assert base64.b64decode(image["data"])[1:4] == b"PNG", image["data"][:20]
    assert chart["structuredContent"]["result"] == 4, chart
    assert [file["path"] for file in chart["structuredContent"]["files"]] == ["made.txt"], chart

    assert call("upload_file", path="a.txt", content="text")["structuredContent"]["size"] == 4
    failed = call("run_python", strict=False, code="1 / 0")
    assert failed["isError"] and failed["structuredContent"]["error"]["name"] == "ZeroDivisionError", failed
    assert (
        inspect("resources/templates/list")["resourceTemplates"][0]["uriTemplate"]
        == "tci://{session}/{+path}"
    )
    wait("sessions are left after their clients", lambda: WAY == "http" or not sessions())

    before = {one["id"] for one in sessions()}
    slow = subprocess.Popen(
        command("tools/call", "--tool-name", "run_python", "--tool-arg", f"code={SLOW}", "timeout=300"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait("the code was not begun", lambda: any(one["state"] == "busy" for one in sessions()))
    slow.send_signal(signal.SIGINT)
    slow.wait(30)
    wait("the code runs on", lambda: all(one["state"] != "busy" or one["id"] in before for one in sessions()))
    print(f"{WAY}: a chart, a file, an error and a cancelled run, by the inspector")


if __name__ == "__main__":
    main()
