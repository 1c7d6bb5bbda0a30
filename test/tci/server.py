"""Daemons for the cases, which leave nothing behind."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
from typing import Any

TCID = pathlib.Path(__file__).resolve().parents[2] / "bin" / "tcid"
#: the first start may build an image
READY = 300
STOP = 60


class Daemon:
    """A daemon with a state directory and API keys of its own."""

    def __init__(self, data_dir: str, keys: dict[str, str], options: dict[str, Any]) -> None:
        # Below /run, since sandboxes must be able to reach it.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tcid-tci.", dir="/run"))
        self.folder.chmod(0o711)
        self.state = self.folder / "state"
        self.state.mkdir(mode=0o711)
        self.keys = self.folder / "keys"
        self.keys.touch(mode=0o600)
        self.keys.write_text("".join(f"{name} {key}\n" for name, key in keys.items()))
        self.log = self.folder / "log"
        self.url = f"http://127.0.0.1:{free_port()}"
        command = [str(TCID), "serve", "--ephemeral", "--state-dir", str(self.state), "--data-dir", data_dir]
        command += ["--key-file", str(self.keys), "--listen", self.url[len("http://") :]]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        """Waits until the daemon answers."""
        environment = {**os.environ, "TCID_SOCKET": str(self.state / "tcid.sock")}
        end = time.monotonic() + READY
        while subprocess.run([TCID, "version"], env=environment, capture_output=True).returncode != 0:
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended:\n{self.said()}")
            if time.monotonic() > end:
                raise RuntimeError(f"the daemon is not ready after {READY} s:\n{self.said()}")
            time.sleep(0.1)

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]

    def resident_mib(self) -> float:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)
        assert found is not None
        return int(found.group(1)) / 1024

    def stop(self) -> str | None:
        """Ends the daemon and removes what is this program's. Says what went
        wrong, if anything."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"the daemon did not end within {STOP} s; its state is in {self.state}"
        problem = f"the daemon ended with {status}:\n{self.said()}" if status != 0 else None
        left = sorted(self.state.iterdir()) if self.state.exists() else []
        if left:
            # Never removed from here: mounts may be below it.
            return f"the daemon left {', '.join(map(str, left))}"
        if self.state.exists():
            self.state.rmdir()
        self.keys.unlink()
        self.log.unlink()
        self.folder.rmdir()
        return problem


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
