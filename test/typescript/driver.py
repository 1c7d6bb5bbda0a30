"""Packs the SDK, installs it and uses it; see the head of the script run."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SDK = ROOT / "sdk" / "typescript"
sys.path.insert(0, str(ROOT / "test" / "tci"))

from clients import apt  # noqa: E402
from server import Daemon  # noqa: E402

KEY = "a-key-of-this-test"
STRICT: dict[str, Any] = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "exactOptionalPropertyTypes": True,
    "noPropertyAccessFromIndexSignature": True,
    "target": "es2022",
    "lib": ["es2022"],
    "types": ["node"],
    "typeRoots": [str(SDK / "node_modules" / "@types")],
    # What the package declares is looked at too.
    "skipLibCheck": False,
}
#: what the blocks of documents take for granted
PRELUDE = """import type { Session, TCIClient } from "@tci/sdk";
declare global { const tci: TCIClient; const session: Session; }
"""
#: name of a compilation: its source, the name that it gets, and options
COMPILATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "as an ES module": ("strict.ts", "strict.mts", {"module": "nodenext"}),
    "as CommonJS": ("strict.ts", "strict.cts", {"module": "nodenext"}),
    "for a bundler, with a browser's types": (
        "browser.ts",
        "browser.mts",
        {"module": "esnext", "moduleResolution": "bundler", "lib": ["es2022", "dom"], "types": []},
    ),
}


def main() -> int:
    """Runs everything and returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", default=os.environ.get("TCID_DATA_DIR", "/var/lib/tcid"))
    data_dir = parser.parse_args().data_dir
    if shutil.which("npm") is None:
        apt("nodejs", "npm")
    run([str(ROOT / "scripts" / "npm-ci"), str(SDK)], ROOT)
    say("building and packing")
    npm("run", "--silent", "build")
    say("unit tests")
    tests()
    with tempfile.TemporaryDirectory(prefix="tci-sdk.") as name:
        folder = pathlib.Path(name)
        say("the package, installed in an empty project")
        package(folder)
        daemon = Daemon(data_dir, {"own": KEY}, {})
        problem = None
        try:
            daemon.wait()
            for url in (f"unix://{daemon.state}/tcid.sock", daemon.url):
                use(folder, url)
        finally:
            problem = daemon.stop()
    if problem:
        raise SystemExit(f"typescript: {problem}")
    say("passed")
    return 0


def tests() -> None:
    run([tool("tsc"), "-p", "tsconfig.test.json"], SDK)
    files = sorted(str(file) for file in (SDK / "build" / "tests").glob("*.test.js"))
    run(["node", "--test", *files], SDK)


def package(folder: pathlib.Path) -> None:
    """Packs the SDK, looks at the tarball, installs it, and compiles programs."""
    npm("pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder))
    (tarball,) = folder.glob("*.tgz")
    listed = run(["tar", "-tzf", str(tarball)], folder).split()
    odd = [n for n in listed if not n.startswith("package/dist/") and n.count("/") > 1]
    for needed in ("package/LICENSE", "package/README.md", "package/dist/cjs/package.json"):
        if needed not in listed:
            raise SystemExit(f"typescript: {needed} is not in the package")
    if odd:
        raise SystemExit(f"typescript: the package holds {', '.join(odd)}")
    run([tool("attw"), str(tarball), "--no-emoji", "--format", "ascii"], SDK)
    run([tool("publint"), str(tarball), "--strict"], SDK)
    (folder / "package.json").write_text(json.dumps({"name": "consumer", "private": True}))
    run(["npm", "install", "--offline", "--no-audit", "--no-fund", "--silent", str(tarball)], folder)
    for name in ("plain.mjs", "plain.cjs", "breaks.mjs"):
        shutil.copy(HERE / "consumer" / name, folder)
    for about, (source, name, options) in COMPILATIONS.items():
        print(f"TypeScript, {about}", flush=True)
        compile_one(folder, HERE / "consumer" / source, name, options)
    compile_one(folder, SDK / "examples" / "quickstart.ts", "quickstart.mts", {"module": "nodenext"})
    print("TypeScript, what the documents show", flush=True)
    for page in (ROOT / "docs" / "typescript.md", SDK / "README.md"):
        for number, block in enumerate(re.findall(r"^```ts\n(.*?)^```$", page.read_text(), re.M | re.S)):
            source = folder / "block.ts"
            source.write_text(block if block.startswith("import") else PRELUDE + block + "export {};\n")
            compile_one(folder, source, f"{page.stem}-{number}.mts", {"module": "nodenext"})


def compile_one(folder: pathlib.Path, source: pathlib.Path, name: str, options: dict[str, Any]) -> None:
    shutil.copy(source, folder / name)
    config = {"compilerOptions": {**STRICT, **options}, "files": [name]}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    run([tool("tsc"), "-p", "tsconfig.json"], folder)


def use(folder: pathlib.Path, url: str) -> None:
    """Runs the programs and the cases against a daemon."""
    environment = {**os.environ, "TCI_BASE_URL": url, "TCI_API_KEY": KEY}
    for name in ("strict.mjs", "strict.cjs", "plain.mjs", "plain.cjs", "breaks.mjs"):
        print(f"{name} on {url}", flush=True)
        answer = run(["node", name], folder, environment)
        if answer != "ok\n":
            raise SystemExit(f"typescript: {name} said {answer!r}")
    say(f"the conformance cases on {url}")
    answer = run(["node", "build/tests/conformance.js"], SDK, environment)
    print(answer.splitlines()[-1], flush=True)
    if url.startswith("unix:"):
        say("the examples of the documents")
        said = {
            "quickstart.mjs": "\n2\ndata.csv col1,col2\n1,2\n3,4\n",
            "typescript-0.mjs": "\n2\ndata.csv col1,col2\n1,2\n3,4\n",
            "README-0.mjs": "pi is about 3.14\n 6.283185307179586\n0\n1\n2\nerror ZeroDivisionError\n"
            "a,b\n1,2\n\n1\n",
        }
        for name, wanted in said.items():
            answer = run(["node", name], folder, environment)
            if answer != wanted:
                raise SystemExit(f"typescript: {name} said {answer!r}, not {wanted!r}")


def tool(name: str) -> str:
    return str(SDK / "node_modules" / ".bin" / name)


def npm(*words: str) -> None:
    run(["npm", *words], SDK)


def say(text: str) -> None:
    print(f"== {text}", flush=True)


def run(command: list[str], folder: pathlib.Path, environment: dict[str, str] | None = None) -> str:
    """Runs a command and returns what it printed."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"typescript: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
