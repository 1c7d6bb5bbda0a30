"""Programs: the shell, pipes, input, environment, exit codes, signals and timeouts."""

import os
import signal
import subprocess
import sys
import time


def sh(script, **options):
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=20, **options)


run = sh("echo out; echo err >&2; exit 3")
assert (run.stdout, run.stderr, run.returncode) == ("out\n", "err\n", 3)
assert sh("printf '%s\\n' pear apple fig | sort | head -n 2 | tr a-z A-Z").stdout == "APPLE\nFIG\n"
assert sh("seq 1 100 | awk '{ s += $1 } END { print s }'").stdout == "5050\n"
assert sh("cat | wc -c", input="grüße").stdout.strip() == "7"
assert sh("echo $WORD", env={**os.environ, "WORD": "given"}).stdout == "given\n"
assert sh("pwd", cwd="/tmp").stdout == "/tmp\n"
assert subprocess.check_output("echo $((2 + 3)) > sum.txt && cat sum.txt", shell=True) == b"5\n"
assert sh("for i in 1 2 3; do echo line $i; done > f; grep -c line f; sed -n 2p f; ls f").stdout.split(
    "\n"
) == [
    "3",
    "line 2",
    "f",
    "",
]
assert sh("no-such-program").returncode == 127

# A pipe of two processes without a shell.
first = subprocess.Popen(["seq", "1", "20000"], stdout=subprocess.PIPE)
second = subprocess.Popen(["wc", "-l"], stdin=first.stdout, stdout=subprocess.PIPE)
first.stdout.close()
assert int(second.communicate(timeout=20)[0]) == 20000
assert first.wait(5) == 0

python = subprocess.run(
    [sys.executable, "-c", "import sys; print(sys.argv[1], sum(map(int, sys.stdin)))", "total"],
    input="1\n2\n3\n",
    capture_output=True,
    text=True,
    timeout=20,
    check=True,
)
assert python.stdout == "total 6\n"

# Megabytes in both directions, which need both pipes to be served at once.
data = os.urandom(1 << 20)
assert subprocess.run(["cat"], input=data, capture_output=True, timeout=20).stdout == data

start = time.monotonic()
try:
    subprocess.run(["sleep", "30"], timeout=0.3)
except subprocess.TimeoutExpired:
    assert time.monotonic() - start < 5
else:
    raise AssertionError("no timeout")
sleeper = subprocess.Popen(["sleep", "30"], start_new_session=True)
os.killpg(sleeper.pid, signal.SIGTERM)
assert sleeper.wait(5) == -signal.SIGTERM
try:
    subprocess.run(["sh", "-c", "exit 4"], check=True)
except subprocess.CalledProcessError as problem:
    assert problem.returncode == 4
else:
    raise AssertionError("check=True raised nothing")

with open("tool.sh", "w", encoding="utf-8") as f:
    f.write('#!/bin/sh\necho "tool: $1"\n')
os.chmod("tool.sh", 0o755)
assert subprocess.check_output(["./tool.sh", "a b"], text=True) == "tool: a b\n"

print("ok: subprocess_shell")
