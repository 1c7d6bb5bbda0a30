package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func script(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func answer(implementation, version, bits string) string {
	return `echo '{"executable":"/x","implementation":"` + implementation + `","version":[` + version + `],"bits":` + bits + `,"stdlib":["/x"]}'`
}

func TestRefusedPythons(t *testing.T) {
	s := newStore(t)
	dir := t.TempDir()
	for name, c := range map[string]struct{ python, want string }{
		"missing":      {"/nonexistent/python", "find Python"},
		"not a Python": {script(t, dir+"/ls", "exit 3"), "can't be asked"},
		"talks rot":    {script(t, dir+"/rot", "echo '{}'"), "does not answer"},
		"PyPy":         {script(t, dir+"/pypy", answer("pypy", "3,10,1", "64")), "only CPython"},
		"too old":      {script(t, dir+"/old", answer("cpython", "3,6,1", "64")), "3.9 or newer"},
		"32 bits":      {script(t, dir+"/small", answer("cpython", "3,11,1", "32")), "64-bit"},
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

func TestCandidates(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, path := range []string{
		a + "/python", a + "/python3.8", a + "/python3.9", a + "/python3.12", a + "/python3.12-config", b + "/python3",
	} {
		script(t, path, "exit 1")
	}
	if err := os.WriteFile(b+"/python", nil, 0o644); err != nil { // not executable
		t.Fatal(err)
	}
	want := []string{a + "/python", a + "/python3.12", a + "/python3.9", b + "/python3"}
	got := candidates(strings.Join([]string{"relative", "", a, "/nonexistent", b}, ":"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

// The first on PATH that will do is taken; those before it are passed over.
func TestFindPythonOnPath(t *testing.T) {
	py, err := findPython(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	bad := t.TempDir()
	script(t, bad+"/python3", answer("pypy", "3,10,1", "64"))
	t.Setenv("PATH", bad+":"+os.Getenv("PATH"))
	again, err := findPython(context.Background(), "")
	if err != nil || again.Executable != py.Executable {
		t.Errorf("found %s, %v; want %s", again.Executable, err, py.Executable)
	}
	t.Setenv("PATH", bad)
	if _, err := findPython(context.Background(), ""); err == nil || !strings.Contains(err.Error(), "--python") || !strings.Contains(err.Error(), "only CPython") {
		t.Errorf("error %v does not say what was refused and what to do", err)
	}
}

func TestFindPythonInAVirtualEnvironment(t *testing.T) {
	want, err := findPython(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--symlinks", "--copies"} {
		venv := newVenv(t, "", flag)
		t.Chdir(venv)
		for _, name := range []string{venv + "/bin/python", "bin/python3"} {
			got, err := findPython(context.Background(), name)
			if err != nil {
				t.Fatal(err)
			}
			if got.Virtual || got.Prefix != want.Prefix || strings.HasPrefix(got.Executable, venv) {
				t.Errorf("%s %s leads to %s", flag, name, got.Executable)
			}
		}
	}
}

func TestSkipStdlib(t *testing.T) {
	for path, want := range map[string]bool{
		"os.py": false, "unittest/case.py": false, "lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so": false,
		"__pycache__/os.cpython-311.pyc": false, "xml/etree/ElementTree.py": false, "xxlimited.py": false,
		"test": true, "ctypes/test": true, "tkinter": true, "site-packages": true, "EXTERNALLY-MANAGED": true,
		"lib-dynload/_tkinter.cpython-311-x86_64-linux-gnu.so": true, "lib-dynload/_testcapi.so": true,
		"lib-dynload/xxlimited.so": true, "__pycache__/os.cpython-311.opt-1.pyc": true, "libpython3.11.a": true,
	} {
		if got := skipStdlib(path, !strings.Contains(path, ".")); got != want {
			t.Errorf("skipStdlib(%q) = %v", path, got)
		}
	}
}
