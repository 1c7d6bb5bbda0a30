"""The clients under test, installed once below bin/tools/tci-clients."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / "bin" / "tools" / "tci-clients"
TOGETHER = {"together-1": "1.5.35", "together-2": "2.42.0", "together-3": "3.1.1"}


def install() -> dict[str, list[str]]:
    """Installs what is missing; returns the command of each runner."""
    if sys.version_info < (3, 10):
        raise SystemExit("tci: together needs Python 3.10 or newer")
    commands = {"raw": [sys.executable, str(HERE / "raw.py")]}
    for name, version in TOGETHER.items():
        folder = TOOLS / name
        python_client(folder, version)
        commands[name] = [str(folder / "bin" / "python"), str(HERE / "together_python.py")]
    node = node_client(TOOLS / "node")
    commands["together-ai"] = [node, str(HERE / "together_node.mjs"), str(TOOLS / "node")]
    return commands


def fresh(folder: pathlib.Path, stamp: str) -> bool:
    """Whether the folder was made from what the stamp says; if not, it is empty
    afterwards."""
    file = folder / "stamp"
    if file.exists() and file.read_text() == stamp:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return False


def python_client(folder: pathlib.Path, version: str) -> None:
    stamp = f"together {version}, Python {sys.version}\n"
    if fresh(folder, stamp):
        return
    print(f"tci: installing together {version}", flush=True)
    if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode != 0:
        apt("python3-venv")
    run([sys.executable, "-m", "venv", str(folder)])
    run([str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", f"together=={version}"])
    (folder / "stamp").write_text(stamp)


def node_client(folder: pathlib.Path) -> str:
    """Installs the client for JavaScript; returns the path of node."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        apt("nodejs", "npm")
    node = shutil.which("node")
    if node is None:
        raise SystemExit("tci: node is missing; install Node.js 18 or newer")
    files = [HERE / "node" / name for name in ("package.json", "package-lock.json")]
    stamp = "".join(file.read_text() for file in files)
    if not fresh(folder, stamp):
        print("tci: installing together-ai", flush=True)
        for file in files:
            shutil.copy(file, folder)
        run(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)])
        (folder / "stamp").write_text(stamp)
    return node


def apt(*packages: str) -> None:
    """Installs Debian packages, as scripts/deps does."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SystemExit(f"tci: install what your distribution calls {' and '.join(packages)}")
    print(f"tci: installing Debian packages: {' '.join(packages)}", flush=True)
    run(["apt-get", "update", "-qq"])
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages])


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"tci: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
