"""Temporary files, memory maps of files and of nothing, and shared memory blocks."""

import mmap
import os
import struct
import subprocess
import sys
import tempfile
from multiprocessing import shared_memory
from pathlib import Path

with tempfile.TemporaryDirectory() as name:
    directory = Path(name)
    assert directory.stat().st_mode & 0o777 == 0o700
    (directory / "a" / "b").mkdir(parents=True)
    (directory / "a" / "b" / "text").write_text("grüße\n", encoding="utf-8")
    assert [p.name for p in directory.rglob("*")] == ["a", "b", "text"]
    os.symlink("a/b/text", directory / "link")
    os.rename(directory / "link", directory / "renamed")
    assert (directory / "renamed").read_text(encoding="utf-8") == "grüße\n"
assert not directory.exists()

with tempfile.NamedTemporaryFile(suffix=".bin") as f:
    f.write(bytes(range(256)) * 16)
    f.flush()
    assert os.path.getsize(f.name) == 4096
    with mmap.mmap(f.fileno(), 0) as view:
        assert view[256:260] == b"\x00\x01\x02\x03"
        view[0:4] = b"tcid"
        assert view.find(b"\xff\x00") == 255
        view.flush()
    f.seek(0)
    assert f.read(5) == b"tcid\x04"
assert not os.path.exists(f.name)

with tempfile.SpooledTemporaryFile(max_size=1000, mode="w+") as spool:
    spool.write("x" * 5000)  # goes to a file on its way
    spool.seek(0)
    assert len(spool.read()) == 5000
with tempfile.TemporaryFile() as f:
    f.truncate(100 << 20)  # sparse: takes no room
    f.seek((100 << 20) - 4)
    assert f.read() == bytes(4)

# A map of no file, shared with a forked child.
with mmap.mmap(-1, 8 << 20) as shared:
    pid = os.fork()
    if pid == 0:
        shared[:8] = struct.pack("<q", -42)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert struct.unpack("<q", shared[:8]) == (-42,)

# A named block in /dev/shm, which another program opens by its name.
block = shared_memory.SharedMemory(create=True, size=16 << 20)
try:
    block.buf[:5] = b"hello"
    code = (
        "import sys; from multiprocessing import resource_tracker, shared_memory;"
        "b = shared_memory.SharedMemory(sys.argv[1]);"
        # Else this program's end would remove the block (fixed in Python 3.13).
        "resource_tracker.unregister(b._name, 'shared_memory');"
        "b.buf[:5] = bytes(b.buf[:5]).upper(); b.close()"
    )
    subprocess.run([sys.executable, "-c", code, block.name], check=True, timeout=20)
    assert bytes(block.buf[:5]) == b"HELLO"
    block.buf[-1] = 9
    again = shared_memory.SharedMemory(block.name)
    assert again.buf[again.size - 1] == 9
    again.close()
finally:
    block.close()
    block.unlink()
numbers = shared_memory.ShareableList([1, 2.5, "three", None])
numbers[0] += 41
assert list(numbers) == [42, 2.5, "three", None]
numbers.shm.close()
numbers.shm.unlink()
assert not any(name.startswith("psm_") for name in os.listdir("/dev/shm"))

print("ok: tempfile_mmap")
