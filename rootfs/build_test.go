package rootfs

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const exercise = `
import sys, os, subprocess, json
import ssl, ctypes, zoneinfo, hashlib, decimal, uuid, socket, datetime
optional = []
for name in ("sqlite3", "lzma", "bz2", "readline", "curses"):
    try:
        __import__(name)
    except ImportError:
        optional.append(name)
assert sys.prefix == sys.exec_prefix == "/usr", (sys.prefix, sys.exec_prefix)
assert all(p.startswith("/usr/") for p in sys.path), sys.path
assert subprocess.run(["ls", "/"], capture_output=True, text=True).stdout.split().count("workspace") == 1
assert os.system("echo hi | grep -q hi") == 0
assert subprocess.run("python3 -c 'print(6*7)' | cat", shell=True, capture_output=True, text=True).stdout == "42\n"
ssl.create_default_context()
assert datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset().total_seconds() == 7200
assert "é".encode("latin-1") == b"\xe9" and sys.getfilesystemencoding() == "utf-8"
ctypes.CDLL("libgcc_s.so.1")
assert os.getpwuid(1000).pw_name == "user" if hasattr(os, "getpwuid") else True
print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "missing": optional}))
`

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("images belong to root: run this test as root")
	}
}

// newStore makes a store below a directory that nobody else may enter.
func newStore(t *testing.T) *Store {
	t.Helper()
	requireRoot(t)
	s, err := Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustBuild(t *testing.T, s *Store, o BuildOptions) Image {
	t.Helper()
	img, err := s.Build(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// run executes the image's Python in the image, as an ordinary user.
func run(t *testing.T, img Image, code string) string {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.Command(img.Python, "-I", "-X", "utf8", "-c", code)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin", "LC_ALL=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: img.Root}
	if err := cmd.Run(); err != nil {
		t.Fatalf("Python in the image: %v\n%s", err, errs.String())
	}
	return out.String()
}

// interpreters are the host's, of several kinds where it has them.
func interpreters(t *testing.T) map[string]string {
	t.Helper()
	requireRoot(t)
	found := map[string]string{"first on PATH": ""}
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		found["Debian"] = "/usr/bin/python3"
	}
	for _, v := range []string{"3.9.18", "3.13.0"} {
		path := "/root/.pyenv/versions/" + v + "/bin/python3"
		if _, err := os.Stat(path); err == nil {
			found["pyenv "+v] = path
		}
	}
	py, err := findPython(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	venv := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.Command(py.Executable, "-m", "venv", "--without-pip", venv).CombinedOutput(); err == nil {
		found["virtual environment"] = filepath.Join(venv, "bin", "python")
	} else {
		t.Logf("no virtual environment to test with: %v: %s", err, out)
	}
	return found
}

func TestImagesOfEveryPython(t *testing.T) {
	for name, python := range interpreters(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			img := mustBuild(t, s, BuildOptions{Python: python})
			out := run(t, img, exercise)
			if !strings.Contains(out, fmt.Sprintf("%q: %q", "version", img.PythonVersion)) {
				t.Errorf("Python says %s, the image %s", out, img.PythonVersion)
			}
			if err := s.Verify(context.Background(), DefaultName); err != nil {
				t.Error(err)
			}
			checkStructure(t, img)
			checkClosure(t, img)
			checkCompiled(t, img)
		})
	}
}

// checkStructure looks for what images must not have, beyond what Verify does.
func checkStructure(t *testing.T, img Image) {
	t.Helper()
	for _, point := range mountPoints {
		if info, err := os.Lstat(filepath.Join(img.Root, point)); err != nil || !info.IsDir() {
			t.Errorf("%s is no directory: %v", point, err)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(img.Root, "usr/lib/python3*/EXTERNALLY-MANAGED")); found != nil {
		t.Errorf("pip would refuse to install: %v", found)
	}
	err := filepath.WalkDir(img.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink == 0 {
			return err
		}
		to, _ := os.Readlink(path)
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(strings.TrimPrefix(path, img.Root)), to)
		}
		if strings.HasPrefix(to, "/root/") || strings.HasPrefix(to, "/home/") {
			t.Errorf("%s leads to %s", path, to)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// checkClosure makes sure that every library that a file names is there, where
// the host has it at all.
func checkClosure(t *testing.T, img Image) {
	t.Helper()
	l, err := newLoader(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	needs := map[string]string{}
	err = filepath.WalkDir(img.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		have[filepath.Base(path)] = true
		if e, err := elf.Open(path); err == nil {
			defer e.Close()
			libs, _ := e.ImportedLibraries()
			for _, lib := range libs {
				needs[lib] = path
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(needs) < 5 {
		t.Fatalf("only %d libraries are needed: does this test look at the right files?", len(needs))
	}
	for lib, by := range needs {
		if !have[lib] && l.find(lib, "", &library{}) != "" {
			t.Errorf("%s is missing, %s needs it", lib, by)
		}
	}
}

// checkCompiled makes sure that Python takes the compiled modules.
func checkCompiled(t *testing.T, img Image) {
	t.Helper()
	out := run(t, img, `
import importlib.util, json, ssl, subprocess, sys
r = subprocess.run([sys.executable, "-I", "-v", "-c", "import json, ssl, subprocess"], capture_output=True, text=True)
print(r.stderr.count("code object from '/usr/lib") - r.stderr.count(".pyc'"), r.stderr.count(".pyc'"))
`)
	var fromSource, fromCompiled int
	if _, err := fmt.Sscan(out, &fromSource, &fromCompiled); err != nil {
		t.Fatal(err)
	}
	if fromSource > 0 || fromCompiled < 20 {
		t.Errorf("%d modules were compiled at start, %d were not", fromSource, fromCompiled)
	}
}

func TestTheSameContentIsTheSameImage(t *testing.T) {
	s := newStore(t)
	first := mustBuild(t, s, BuildOptions{})
	second := mustBuild(t, s, BuildOptions{Name: "other"})
	if first.Digest != second.Digest {
		t.Errorf("digests %s and %s", first.Digest, second.Digest)
	}
	list, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, img := range list {
		names = append(names, img.Name)
	}
	if diff := cmp.Diff([]string{"default", "other"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestRefusedPythons(t *testing.T) {
	s := newStore(t)
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ python, want string }{
		"missing":      {"/nonexistent/python", "find Python"},
		"not a Python": {script("ls", "exit 3"), "can't be asked"},
		"talks rot":    {script("rot", "echo '{}'"), "does not answer"},
		"PyPy": {script("pypy", `echo '{"implementation":"pypy","version":[3,10,1],"bits":64,"stdlib":["/x"]}'`),
			"not CPython"},
		"too old": {script("old", `echo '{"implementation":"cpython","version":[3,6,1],"bits":64,"stdlib":["/x"]}'`),
			"3.9 or newer"},
		"32 bits": {script("small", `echo '{"implementation":"cpython","version":[3,11,1],"bits":32,"stdlib":["/x"]}'`),
			"64-bit"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Build(context.Background(), BuildOptions{Python: c.python}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Build = %v, want %q in it", err, c.want)
			}
		})
	}
	if _, err := s.Resolve(DefaultName); !errors.Is(err, ErrNotFound) {
		t.Errorf("a failed build left an image: %v", err)
	}
}
