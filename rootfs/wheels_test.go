package rootfs

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// makeWheel makes a wheel; dependencies are its Requires-Dist.
func makeWheel(t *testing.T, dir, name, version, tag string, files map[string]string, dependencies ...string) {
	t.Helper()
	info := name + "-" + version + ".dist-info/"
	all := map[string]string{
		info + "METADATA": fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version),
		info + "WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: " + tag + "\n",
	}
	for _, d := range dependencies {
		all[info+"METADATA"] += "Requires-Dist: " + d + "\n"
	}
	for path, text := range files {
		all[strings.Replace(path, "INFO/", info, 1)] = text
	}
	record := info + "RECORD,,\n"
	for path, text := range all {
		sum := sha256.Sum256([]byte(text))
		record += fmt.Sprintf("%s,sha256=%s,%d\n", path, base64.RawURLEncoding.EncodeToString(sum[:]), len(text))
	}
	all[info+"RECORD"] = record
	f, err := os.Create(filepath.Join(dir, name+"-"+version+"-"+tag+".whl"))
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for path, text := range all {
		part, err := w.Create(path)
		if err == nil {
			_, err = part.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// eachInstaller runs a test with pip and with uv, where it is there, for each of
// the interpreters; "" is the first on PATH. Nothing that the user has set
// reaches them.
func eachInstaller(t *testing.T, pythons []string, test func(t *testing.T, python string)) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "PIP_") || strings.HasPrefix(name, "UV_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("PIP_CONFIG_FILE", os.DevNull)
	t.Setenv("UV_NO_CONFIG", "1")
	t.Setenv("UV_CACHE_DIR", filepath.Join(t.TempDir(), "uv"))
	t.Setenv("PIP_CACHE_DIR", filepath.Join(t.TempDir(), "pip"))
	t.Setenv("PIP_RETRIES", "0")
	t.Setenv("UV_HTTP_RETRIES", "0")
	uv, uvErr := exec.LookPath("uv")
	dirs := filepath.SplitList(os.Getenv("PATH"))
	dirs = slices.DeleteFunc(dirs, func(dir string) bool { return isFile(filepath.Join(dir, "uv")) })
	for _, python := range pythons {
		py, err := findPython(context.Background(), python)
		if err != nil {
			continue
		}
		t.Run("pip for "+python, func(t *testing.T) {
			if _, ok := py.pip(); !ok {
				t.Skip("this Python has no pip")
			}
			t.Setenv("PATH", strings.Join(dirs, ":"))
			test(t, py.Executable)
		})
		t.Run("uv for "+python, func(t *testing.T) {
			if uvErr != nil {
				t.Skip("no uv on PATH")
			}
			// Nothing else of uv's directory, such as a Python.
			bin := t.TempDir()
			if err := os.Symlink(uv, filepath.Join(bin, "uv")); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", strings.Join(append([]string{bin}, dirs...), ":"))
			test(t, py.Executable)
		})
	}
}

const inspectPackages = `
import base64, hashlib, importlib.metadata, importlib.util, os, subprocess, sys
import demo, dep
assert demo.__file__.startswith("/usr/"), demo.__file__
assert os.path.exists(importlib.util.cache_from_source(demo.__file__))
names = sorted(d.name + "==" + d.version for d in importlib.metadata.distributions())
assert names == sorted(sys.argv[1].split(",")), names
files = importlib.metadata.files("demo")
for f in files:
    text = f.locate().read_bytes()
    if f.hash:
        digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode().rstrip("=")
        assert f.hash.value == digest and f.size == len(text), f
places = {os.path.normpath(f.locate()) for f in files}
assert {"/usr/local/bin/demo-say", "/usr/local/bin/tool", "/usr/share/demo/data.txt"} <= places, places
assert not any("direct_url" in p or "uv_cache" in p for p in places), places
for program in ("demo-say", "tool"):
    print(subprocess.run(["/usr/local/bin/" + program], capture_output=True, text=True, check=True).stdout.strip())
print(open("/usr/share/demo/data.txt").read())
`

func TestWheels(t *testing.T) {
	links := t.TempDir()
	makeWheel(t, links, "dep", "1.2", "py3-none-any", map[string]string{"dep.py": "NAME = 'dep'\n"})
	makeWheel(t, links, "demo", "1.0", "py3-none-any", map[string]string{
		"demo/__init__.py":                       "import dep\ndef say():\n    print('said by', dep.NAME)\n",
		"demo/bin/__init__.py":                   "",
		"INFO/entry_points.txt":                  "[console_scripts]\ndemo-say = demo:say\n",
		"demo-1.0.data/scripts/tool":             "#!python\nimport sys\nprint(sys.executable)\n",
		"demo-1.0.data/data/share/demo/data.txt": "data",
		// Executed by the site module. Images are tried as nobody.
		"demo.pth": "import os; os.getuid() == 65534 and os._exit(9)\n",
	}, "dep>=1", "absent; python_version < '3'")
	makeWheel(t, links, "demo", "9.0", "cp27-cp27mu-manylinux1_x86_64", nil)
	file := filepath.Join(t.TempDir(), "requirements.txt")
	if err := os.WriteFile(file, []byte("demo # any version\n"), fileMode); err != nil {
		t.Fatal(err)
	}
	eachInstaller(t, []string{"", "/usr/bin/python3"}, func(t *testing.T, python string) {
		s := newStore(t)
		var details []string
		o := BuildOptions{
			Name: "one", Python: python, Requirements: []string{"demo"}, FindLinks: []string{links}, NoIndex: true,
			Detail: func(text string) { details = append(details, text) },
		}
		img := mustBuild(t, s, o)
		want := []string{"demo==1.0", "dep==1.2"}
		py, err := findPython(context.Background(), python)
		if err != nil {
			t.Fatal(err)
		}
		if py.PipDir != "" {
			want = append(want, "pip=="+py.PipVersion)
		}
		if diff := cmp.Diff(want, img.Packages); diff != "" {
			t.Errorf("packages (-want +got):\n%s", diff)
		}
		out := runInside(t, img, inspectPackages, strings.Join(want, ","))
		if out != "said by dep\n"+pythonPath+"\ndata\n" {
			t.Errorf("the scripts printed %q", out)
		}
		if len(details) == 0 {
			t.Error("no details were told")
		}
		checkLinks(t, img)
		if err := s.Verify(context.Background(), "one"); err != nil {
			t.Error(err)
		}
		o.Name, o.Requirements, o.RequirementFiles = "two", nil, []string{file}
		if again := mustBuild(t, s, o); again.Digest != img.Digest && !strings.Contains(t.Name(), "uv") {
			t.Errorf("the same packages make another image: %s, %s", img.Digest, again.Digest)
		}
		if entries, _ := os.ReadDir(s.path(tempDir)); len(entries) != 0 {
			t.Errorf("left in tmp: %v", entries)
		}
	})
}

// A wheel given by its path replaces what the image has anyway.
func TestAnotherPip(t *testing.T) {
	dir := t.TempDir()
	makeWheel(t, dir, "pip", "99.0", "py3-none-any", map[string]string{
		"pip/__init__.py": "", "pip/mine.py": "print('mine')\n", "INFO/entry_points.txt": "[console_scripts]\npip = pip.mine:x\n",
	})
	t.Chdir(dir)
	eachInstaller(t, []string{""}, func(t *testing.T, python string) {
		img := mustBuild(t, newStore(t), BuildOptions{Python: python, Requirements: []string{"./pip-99.0-py3-none-any.whl"}, NoIndex: true})
		if diff := cmp.Diff([]string{"pip==99.0"}, img.Packages); diff != "" {
			t.Errorf("packages (-want +got):\n%s", diff)
		}
		runInside(t, img, `
import importlib.util, importlib.metadata, pip.mine, shutil
assert importlib.util.find_spec("pip._internal") is None
assert len([d for d in importlib.metadata.distributions() if d.name == "pip"]) == 1
assert shutil.which("pip", path="/usr/bin") is None
`)
	})
}

// hostileSource writes an archive, and returns a directory, whose setup.py, when
// it is executed, makes a file.
func hostileSource(t *testing.T, archive, marker string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "victim-1.0")
	setup := fmt.Sprintf("open(%q, 'w')\nfrom setuptools import setup\nsetup(name='victim', version='1.0')\n", marker)
	script := filepath.Join(dir, "setup.py")
	if err := errors.Join(os.MkdirAll(dir, dirMode), os.WriteFile(script, []byte(setup), fileMode),
		os.WriteFile(filepath.Join(dir, "PKG-INFO"), []byte("Metadata-Version: 1.0\nName: victim\nVersion: 1.0\n"), fileMode)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-czf", archive, "-C", filepath.Dir(dir), "victim-1.0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

func TestNothingIsBuilt(t *testing.T) {
	links, elsewhere := t.TempDir(), t.TempDir()
	marker := filepath.Join(t.TempDir(), "executed")
	archive := filepath.Join(elsewhere, "victim-1.0.tar.gz")
	dir := hostileSource(t, archive, marker)
	hostileSource(t, filepath.Join(links, "sourceonly-1.0.tar.gz"), marker)
	makeWheel(t, links, "evil", "1.0", "py3-none-any", nil, "victim @ file://"+archive)
	makeWheel(t, links, "worse", "1.0", "py3-none-any", nil, "victim @ file://"+dir)
	makeWheel(t, links, "worst", "1.0", "py3-none-any", nil, "victim @ git+file://"+dir)
	eachInstaller(t, []string{""}, func(t *testing.T, python string) {
		s := newStore(t)
		for name, reason := range map[string]string{"evil": "", "worse": "", "worst": "", "sourceonly": "wheel", "missing": "no wheel fits"} {
			_, err := s.Build(context.Background(), BuildOptions{
				Python: python, Requirements: []string{name}, FindLinks: []string{links}, NoIndex: true,
			})
			if err == nil || errors.Is(err, ErrNoIndex) || !strings.Contains(err.Error(), reason) {
				t.Errorf("%s: %v; want %q", name, err, reason)
			}
		}
		if _, err := os.Stat(marker); err == nil {
			t.Error("a package's code was executed")
		}
		if list, err := s.List(); err != nil || len(list) != 0 {
			t.Errorf("images: %v, %v", list, err)
		}
	})
}

func TestNoIndex(t *testing.T) {
	eachInstaller(t, []string{""}, func(t *testing.T, python string) {
		_, err := newStore(t).Build(context.Background(), BuildOptions{
			Python: python, Requirements: []string{"numpy"}, IndexURL: "http://127.0.0.1:1/simple",
		})
		if !errors.Is(err, ErrNoIndex) || !strings.Contains(err.Error(), "--index-url") {
			t.Error(err)
		}
	})
}

// Versions of pip, such as 24.2, take the name of a script for a path.
func TestNothingIsWrittenElsewhere(t *testing.T) {
	links, outside := t.TempDir(), t.TempDir()
	marker := filepath.Join(outside, "written")
	makeWheel(t, links, "absolute", "1.0", "py3-none-any", map[string]string{
		"absolute.py": "", "INFO/entry_points.txt": "[console_scripts]\n" + marker + " = absolute:f\n",
	})
	makeWheel(t, links, "upwards", "1.0", "py3-none-any", map[string]string{
		"upwards.py": "", "INFO/entry_points.txt": "[console_scripts]\n" + strings.Repeat("../", 20) + marker[1:] + " = upwards:f\n",
	})
	pythons := []string{""}
	home, _ := os.UserHomeDir()
	if others, err := filepath.Glob(filepath.Join(home, ".pyenv/versions/3.1*/bin/python3")); err == nil {
		pythons = append(pythons, few(others)...)
	}
	eachInstaller(t, pythons, func(t *testing.T, python string) {
		s := newStore(t)
		for _, name := range []string{"absolute", "upwards"} {
			_, err := s.Build(context.Background(), BuildOptions{
				Python: python, Requirements: []string{name}, FindLinks: []string{links}, NoIndex: true,
			})
			if entries, readErr := os.ReadDir(outside); readErr != nil || len(entries) != 0 {
				t.Errorf("%s: outside of the image there is %v (%v)", name, entries, err)
				_ = os.Remove(marker)
			}
		}
	})
}

// Compiled modules find their places, whatever a wheel has put there.
func TestOddCaches(t *testing.T) {
	links := t.TempDir()
	makeWheel(t, links, "odd", "1.0", "py3-none-any", map[string]string{
		"odd/__init__.py": "", "odd/__pycache__": "a file", "odd/sub/__init__.py": "",
		"odd/sub/__pycache__/__init__.cpython-311.pyc/x": "a directory",
	})
	eachInstaller(t, []string{""}, func(t *testing.T, python string) {
		_, err := newStore(t).Build(context.Background(), BuildOptions{
			Python: python, Requirements: []string{"odd"}, FindLinks: []string{links}, NoIndex: true,
		})
		if err != nil {
			t.Error(err)
		}
	})
}
