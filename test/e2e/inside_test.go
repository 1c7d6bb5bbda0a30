package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	v1 "tcid/api/v1"
)

// What programs expect of a Linux is there.
func TestInsideASession(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{Files: []v1.InlineFile{
		{Name: "x.py", Encoding: "string", Content: "import sys; print('script', sys.argv[1:])"},
		{Name: "helper.py", Encoding: "string", Content: "value = 7"},
	}})
	for name, c := range map[string]struct{ code, want string }{
		"subprocess": {"import subprocess; subprocess.run(['echo', 'hi'], capture_output=True, text=True).stdout", `"hi\n"`},
		"pipeline":   {"import subprocess; subprocess.run('seq 5 | tail -n 1', shell=True, capture_output=True, text=True).stdout", `"5\n"`},
		"os.system":  {"import os; os.system('true')", "0"},
		"python x.py": {"import subprocess; subprocess.run('python x.py a b', shell=True, capture_output=True, text=True).stdout",
			`"script ['a', 'b']\n"`},
		"import of an uploaded module": {"import helper; helper.value", "7"},
		"ssl":                          {"import ssl; ssl.create_default_context().verify_mode.name", `"CERT_REQUIRED"`},
		"sqlite3":                      {"import sqlite3; c = sqlite3.connect('db'); c.execute('create table t(a)'); c.execute('insert into t values (3)'); c.commit(); c.execute('select a from t').fetchone()[0]", "3"},
		"lzma":                         {"import lzma; lzma.decompress(lzma.compress(b'x')).decode()", `"x"`},
		"ctypes":                       {"import ctypes; ctypes.CDLL(None).getpid() > 0", "true"},
		"zoneinfo":                     {"import datetime, zoneinfo; datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('America/New_York')).utcoffset().total_seconds()", "-14400.0"},
		"threads":                      {"import threading\nseen = []\nts = [threading.Thread(target=seen.append, args=(i,)) for i in range(20)]\n[t.start() for t in ts]; [t.join() for t in ts]\nlen(seen)", "20"},
		"multiprocessing fork":         {"import multiprocessing as m\nwith m.get_context('fork').Pool(3) as p: r = p.map(abs, [-1, -2])\nr", "[1,2]"},
		"multiprocessing spawn":        {"import multiprocessing as m\nwith m.get_context('spawn').Pool(2) as p: r = p.map(abs, [-1, -2])\nr", "[1,2]"},
		"asyncio":                      {"import asyncio\nasync def f():\n    p = await asyncio.create_subprocess_exec('echo', 'a', stdout=asyncio.subprocess.PIPE)\n    return (await p.communicate())[0].decode()\nasyncio.run(f())", `"a\n"`},
		"loopback":                     {"import socket\ns = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); a, _ = s.accept(); c.send(b'x'); a.recv(1).decode()", `"x"`},
		"shared memory":                {"from multiprocessing import shared_memory\nm = shared_memory.SharedMemory(create=True, size=100); m.buf[0] = 5; v = m.buf[0]; m.close(); m.unlink(); v", "5"},
		"temporary files":              {"import tempfile\nwith tempfile.NamedTemporaryFile() as f: n = f.name\nn.startswith('/tmp/')", "true"},
		"pty":                          {"import os, pty; a, b = pty.openpty(); os.write(b, b'x'); os.read(a, 1).decode()", `"x"`},
		"home":                         {"import os; os.getcwd() == os.path.expanduser('~') == '/workspace'", "true"},
		"user":                         {"import getpass, os, pwd; [getpass.getuser(), pwd.getpwuid(os.getuid()).pw_name]", `["user","user"]`},
		"random":                       {"import os, secrets; len(os.urandom(16)) + len(secrets.token_bytes(16))", "32"},
		"time zone":                    {"import time; time.strftime('%Z')", `"UTC"`},
		"encoding":                     {"import sys, locale; [sys.getfilesystemencoding(), locale.getpreferredencoding().lower()]", `["utf-8","utf-8"]`},
		"pickle of a class":            {"import pickle\nclass A: pass\ntype(pickle.loads(pickle.dumps(A()))) is A", "true"},
		"no network":                   {"import socket\ntry: socket.create_connection(('192.0.2.1', 80), 1); r = 'connected'\nexcept OSError as e: r = 'refused'\nr", `"refused"`},
		"no host processes":            {"import os; [os.path.exists('/proc/1/status'), all(os.stat('/proc/' + n).st_uid == os.getuid() for n in os.listdir('/proc') if n.isdigit())]", "[false,true]"},
		"read-only root":               {"import os\ndef w(p):\n    try: open(p, 'w'); return True\n    except OSError: return False\n[w(p) for p in ('/x', '/etc/passwd', '/usr/lib/tcid/kernel/x', '/proc/sys/kernel/hostname', '/dev/x')]", "[false,false,false,false,false]"},
		"no mounts":                    {"import ctypes; ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None)", "-1"},
		"no namespaces":                {"import ctypes; [ctypes.CDLL(None).unshare(f) for f in (0x10000000, 0x20000, 0x40000000)]", "[-1,-1,-1]"},
	} {
		t.Run(name, func(t *testing.T) {
			e := d.run(t, s.ID, c.code)
			got := string(e.Result)
			if got != c.want {
				t.Errorf("got %s (%v), want %s", got, e.ResultRepr, c.want)
			}
		})
	}
	if e := d.run(t, s.ID, "import os; os.system('echo from a shell')"); e.Stdout != "from a shell\n" {
		t.Errorf("os.system's output: %q", e.Stdout)
	}
}

// processesOf lists the processes of a sandbox's cgroup, with their names.
func processesOf(t *testing.T, sandbox string) map[int]string {
	t.Helper()
	found := map[int]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cgroup, _ := os.ReadFile("/proc/" + e.Name() + "/cgroup")
		if strings.Contains(string(cgroup), sandbox) {
			name, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
			found[pid] = strings.ReplaceAll(string(name), "\x00", " ")
		}
	}
	return found
}

func statusField(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	t.Fatalf("process %d has no %s", pid, name)
	return ""
}
