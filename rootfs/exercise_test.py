# Executed by the image's Python, in the image, as an ordinary user.
import ctypes
import datetime
import os
import pwd
import socket
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import uuid
import zoneinfo


def run(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout


assert sys.prefix == sys.exec_prefix == sys.base_prefix == "/usr", (
    sys.prefix,
    sys.exec_prefix,
    sys.base_prefix,
)
assert sys.executable == "/usr/bin/python3", sys.executable
assert all(p.startswith("/usr/") for p in sys.path), sys.path
assert sysconfig.get_path("stdlib").startswith("/usr/lib"), sysconfig.get_paths()
for module in list(sys.modules.values()):
    assert (getattr(module, "__file__", None) or "/usr/").startswith(("/usr/", "<")), module
assert os.__file__ == sysconfig.get_path("stdlib") + "/os.py", os.__file__
assert tempfile.gettempdir.__code__.co_filename.startswith("/usr/"), tempfile.gettempdir.__code__

assert "workspace" in subprocess.run(["ls", "/"], capture_output=True, text=True).stdout.split()
assert os.system("echo hi | grep -q hi") == 0
assert run("python3 -c 'print(6*7)' | cat") == "42\n"
for alias in ("python", "python3", "python%d.%d" % sys.version_info[:2]):
    assert run(alias + " -c 'import sys; print(sys.prefix)'") == "/usr\n"
programs = """
    cat ls cp mv rm mkdir rmdir echo env sleep head tail wc sort uniq cut tr touch chmod ln pwd date true
    false test tee basename dirname id uname seq printf mktemp stat df du od md5sum sha256sum base64 expr
    nproc timeout yes grep sed awk find xargs tar gzip sh
"""
for program in programs.split():
    run("command -v " + program)
assert run("printf 'b\\na\\n' | sort | awk '{print NR $1}' | sed s/1/x/ | xargs") == "xa 2b\n"
assert run("echo text | gzip | gunzip") == "text\n"
assert run("tar --version | head -n 1").startswith("tar")

context = ssl.create_default_context()
if "authorities" in sys.argv:
    assert len(context.get_ca_certs()) > 50, ssl.get_default_verify_paths()
berlin = zoneinfo.ZoneInfo("Europe/Berlin")
assert datetime.datetime(2024, 7, 1, tzinfo=berlin).utcoffset() == datetime.timedelta(hours=2)
assert "localtime" not in zoneinfo.available_timezones()
assert datetime.datetime.now().astimezone().utcoffset() == datetime.timedelta(0)
assert sys.getfilesystemencoding() == "utf-8"
assert run("printf 'caf\\303\\251' | python3 -c 'print(ascii(input()))'") == "'caf\\xe9'\n"

libc = ctypes.CDLL("libc.so.6")
libc.iconv_open.restype = ctypes.c_void_p
assert libc.iconv_open(b"UTF-8", b"SHIFT_JIS") not in (None, ctypes.c_void_p(-1).value), "no character sets"
for library in ("libgcc_s.so.1", "libstdc++.so.6"):
    ctypes.CDLL(library)
# What ctypes.util.find_library does; itself it needs /dev/null, which is mounted.
assert "libc.so.6" in run("/sbin/ldconfig -p")

for uid, name in ((0, "root"), (1000, "user"), (1001, "init"), (65534, "nobody")):
    assert pwd.getpwuid(uid).pw_name == name
assert pwd.getpwuid(1000).pw_dir == "/workspace" and pwd.getpwuid(1000).pw_shell == "/bin/sh"
localhost = {address[4][0] for address in socket.getaddrinfo("localhost", 80)}
assert localhost == {"127.0.0.1", "::1"}, localhost
assert uuid.uuid4().version == 4

# The host's other packages stay away.
for package in ("numpy", "IPython", "setuptools"):
    try:
        __import__(package)
    except ImportError:
        continue
    raise AssertionError(package + " is in the image")
if "pip" in sys.argv:
    for script in ("pip", "pip3", "python3 -m pip"):
        assert " from /usr/" in run(script + " --version"), run(script + " --version")
    listed = [line.split("==")[0] for line in run("pip list --format=freeze").split()]
    assert listed == ["pip"], listed
print("%d.%d.%d" % sys.version_info[:3])
