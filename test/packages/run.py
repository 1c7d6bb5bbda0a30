#!/usr/bin/env python3
"""Runs real programs in sessions of a running daemon: do the usual packages work there?

    TCI_BASE_URL=unix:///run/tcid/tcid.sock test/packages/run.py [--markdown] [NAME …]

Every file in programs/ is one cell in a session of its own; NAMEs choose some.
A program passes when it ends ok and its last line is `ok: NAME`. With
--markdown the table has the packages' versions and is fit for a document. The
daemon's default image must hold what requirements.txt lists. The exit status is
0 when all passed, 1 when one failed, 2 when they can't be run.

On the host, without a daemon, one program runs by
    cd "$(mktemp -d)" && PYTHONPATH=. python3 -P …/programs/NAME.py
The -P keeps Python from taking programs/numpy.py for numpy.
"""

from __future__ import annotations

import argparse
import ast
import pathlib
import re
import sys
from dataclasses import dataclass
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "sdk" / "python"))

import png
import tci

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
TIMEOUT = 60.0
#: The distributions that a program is about, where its name does not tell.
#: No distribution: Python's own library.
DISTRIBUTIONS = {
    "pandas": ["pandas", "openpyxl"],
    "scikit_learn": ["scikit-learn", "joblib"],
    "plotly": ["plotly", "pandas"],
    "blas_threads": ["threadpoolctl"],
}
#: A chart must be this wide and high, and have this many pixels of each colour.
MIN_SIDE = 300
MIN_PIXELS = 50


class Failed(Exception):
    """A program did not do what it should."""


@dataclass
class Row:
    """What became of one program."""

    name: str
    shows: str
    versions: dict[str, str]
    seconds: float = 0.0
    problem: str = ""


def main() -> int:
    """Runs the chosen programs and prints what became of them."""
    parser = argparse.ArgumentParser(description="Runs programs in sessions of the daemon at TCI_BASE_URL.")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown, with versions")
    parser.add_argument("names", nargs="*", metavar="NAME", help="programs to run; default: all")
    args = parser.parse_args()
    known = sorted(path.stem for path in PROGRAMS.glob("*.py"))
    unknown = sorted(set(args.names) - set(known))
    if unknown:
        parser.error(f"no program {', '.join(unknown)}; there are {', '.join(known)}")
    pinned = requirements()
    rows = []
    with tci.TCIClient() as client:
        try:
            client.version()
        except tci.TCIError as problem:
            print(f"no daemon to run programs: {problem}", file=sys.stderr)
            return 2
        for name in args.names or known:
            rows.append(play(client, name, pinned))
            if sys.stderr.isatty():
                print(f"{name}: {rows[-1].problem or 'ok'}", file=sys.stderr)
    print_markdown(rows) if args.markdown else print_table(rows)
    failed = sum(1 for row in rows if row.problem)
    print(f"\n{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


def requirements() -> dict[str, str]:
    """The pinned versions, by distribution."""
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").split()
    return dict(line.split("==") for line in lines)


def play(client: tci.TCIClient, name: str, pinned: dict[str, str]) -> Row:
    """Runs one program in a session of its own."""
    code = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
    doc = ast.get_docstring(ast.parse(code)) or ""
    wanted = DISTRIBUTIONS.get(name, [name] if name in pinned else [])
    row = Row(name, doc.partition("\n")[0], {})
    try:
        with client.sessions.create() as session:
            row.versions = versions(client, session.id, wanted)
            execution = client.executions.run(session.id, code, timeout=TIMEOUT)
            row.seconds = execution.receipt.wall_ms / 1000
            check(execution, name)
            if name == "matplotlib":
                check_chart(client, session.id, execution)
            for distribution, version in row.versions.items():
                if version != pinned.get(distribution, version):
                    raise Failed(f"{distribution} {version} instead of {pinned[distribution]}")
    except (Failed, tci.TCIError, png.BadPNG) as problem:
        row.problem = one_line(problem) or type(problem).__name__
    return row


def versions(client: tci.TCIClient, session_id: str, distributions: list[str]) -> dict[str, str]:
    """What the session has of these distributions, or of Python when there are none."""
    code = f"""
import importlib.metadata, platform
def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
result = {{name: _version(name) for name in {distributions!r}}} or {{"Python": platform.python_version()}}
"""
    execution = client.executions.run(session_id, code, timeout=TIMEOUT)
    if not isinstance(execution.result, dict):
        raise Failed(f"the versions can't be told: {reason(execution)}")
    found: dict[str, str] = execution.result
    return found


def check(execution: tci.Execution, name: str) -> None:
    """Raises Failed unless the program ended well and said so at its end."""
    if not execution.ok:
        raise Failed(reason(execution))
    last = execution.stdout.rstrip("\n").rpartition("\n")[2]
    if last != f"ok: {name}":
        raise Failed(f"the last line is {last!r}")


def reason(execution: tci.Execution) -> str:
    """Why it failed: the exception, and the program's line where it came up."""
    if execution.error is None:
        return execution.status
    said = f"{execution.error.name}: {execution.error.value}"
    if said.startswith(execution.error.name + ": " + execution.error.name):
        said = execution.error.value
    plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(execution.error.traceback))
    lines = re.findall(r"(?:<cell \d+>\"?|Cell In\[\d+\])(?:, line |:)(\d+)", plain)
    where = f" (line {lines[-1]})" if lines else ""
    status = "" if execution.status == "error" else f"{execution.status}: "
    return f"{status}{said.rstrip(': ')}{where}"


def check_chart(client: tci.TCIClient, session_id: str, execution: tci.Execution) -> None:
    """Raises Failed unless the chart was shown, and saved, with line and bars."""
    shown = [o["data"]["image/png"] for o in execution.outputs if is_image(o["data"])]
    if not shown:
        raise Failed("plt.show() displayed no image/png")
    check_image("the display", execution.images[0])
    check_image("chart.png", client.files.download(session_id, "chart.png").content)


def is_image(data: Any) -> bool:
    return isinstance(data, dict) and "image/png" in data


def check_image(what: str, data: bytes) -> None:
    """Raises Failed unless it is a picture with enough blue and red."""
    try:
        image = png.decode(data)
    except png.BadPNG as problem:
        raise Failed(f"{what}: {problem}") from None
    if min(image.width, image.height) < MIN_SIDE:
        raise Failed(f"{what} is {image.width} × {image.height}, less than {MIN_SIDE} × {MIN_SIDE}")
    blue = image.count(lambda r, g, b: r < 40 and g < 40 and b > 215)
    red = image.count(lambda r, g, b: r > 215 and g < 40 and b < 40)
    if blue < MIN_PIXELS or red < MIN_PIXELS:
        raise Failed(f"{what} has {blue} blue and {red} red pixels, not {MIN_PIXELS} of each")


def one_line(problem: object, limit: int = 200) -> str:
    """Text without line breaks, cut short."""
    text = " ".join(str(problem).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def print_table(rows: list[Row]) -> None:
    """For people who watch."""
    names = max(len(row.name) for row in rows)
    shows = max(len(row.shows) for row in rows)
    print(f"{'program':{names}}  {'what it shows':{shows}}  seconds  result")
    for row in rows:
        result = f"FAIL: {row.problem}" if row.problem else "ok"
        print(f"{row.name:{names}}  {row.shows:{shows}}  {row.seconds:7.1f}  {result}")


def print_markdown(rows: list[Row]) -> None:
    """For a document."""
    print("| package | version | what was run | result |\n|---|---|---|---|")
    for row in rows:
        package = ", ".join(row.versions) or row.name
        version = ", ".join(row.versions.values()) or "–"
        run = f"`{row.name}`: {row.shows}"
        result = f"FAIL: {row.problem}" if row.problem else f"ok, {row.seconds:.1f} s"
        print("| " + " | ".join(cell.replace("|", r"\|") for cell in (package, version, run, result)) + " |")


if __name__ == "__main__":
    sys.exit(main())
