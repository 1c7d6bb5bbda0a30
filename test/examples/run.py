#!/usr/bin/env python3
"""Runs the examples against the daemon that TCI_BASE_URL names and a model that
answers from a script.

The first argument is a Python that has the packages of
examples/requirements.txt.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import scripted

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sessions() -> int:
    out = subprocess.run(
        [str(ROOT / "bin" / "tcid"), "session", "ls"], capture_output=True, text=True, check=True
    )
    return len(out.stdout.splitlines()) - 1


def main() -> None:
    environment = dict(
        os.environ,
        OPENAI_BASE_URL=scripted.serve(),
        OPENAI_API_KEY="none",
        MODEL="scripted",
        PYTHONPATH=str(ROOT / "sdk" / "python"),
    )
    for example in sorted((ROOT / "examples").glob("*.py")):
        done = subprocess.run(
            [sys.argv[1], str(example)], env=environment, capture_output=True, text=True, timeout=120
        )
        if done.returncode != 0 or f"{scripted.ANSWER} 7919." not in done.stdout:
            raise SystemExit(
                f"examples: {example.name} failed with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        if sessions() != 0:
            raise SystemExit(f"examples: {example.name} has left its session")
        print(f"examples: {example.name}: {scripted.ANSWER} 7919.")


if __name__ == "__main__":
    main()
