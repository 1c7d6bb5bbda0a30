package rootfs

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// buildBudget is far more than a build takes on a slow machine.
const (
	buildBudget = time.Minute
	mostBytes   = 120 << 20
)

//go:embed exercise_test.py
var exercise string

// interpreters are the host's, of several kinds where it has them.
func interpreters(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{"first on PATH": ""}
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		found["distribution"] = "/usr/bin/python3"
	}
	homes, _ := filepath.Glob("/root/.pyenv/versions/3.*")
	for _, v := range []string{"3.9.18", "3.13.0"} {
		if home := "/root/.pyenv/versions/" + v; slices.Contains(homes, home) {
			found["pyenv "+v] = home + "/bin/python3"
		}
	}
	found["virtual environment"] = filepath.Join(newVenv(t, ""), "bin", "python")
	return found
}

// few are the first and the last of many interpreters, unless there is time for
// all of them.
func few(all []string) []string {
	if len(all) < 3 || os.Getenv("TCID_TEST_ALL") != "" {
		return all
	}
	return []string{all[0], all[len(all)-1]}
}

// newVenv makes a virtual environment of the named interpreter, or else of the
// first on PATH.
func newVenv(t *testing.T, python string, flags ...string) string {
	t.Helper()
	py, err := findPython(context.Background(), python)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "venv")
	args := slices.Concat([]string{"-m", "venv", "--without-pip"}, flags, []string{dir})
	if out, err := exec.Command(py.Executable, args...).CombinedOutput(); err != nil {
		t.Fatalf("make a virtual environment: %v: %s", err, out)
	}
	return dir
}

func TestImagesOfEveryPython(t *testing.T) {
	requireRoot(t)
	s := newStore(t)
	for name, python := range interpreters(t) {
		t.Run(name, func(t *testing.T) {
			var lines []string
			start := time.Now()
			img := mustBuild(t, s, BuildOptions{
				Name: strings.ReplaceAll(strings.ToLower(name), " ", "-"), Python: python,
				Progress: func(line string) { lines = append(lines, line) },
			})
			took := time.Since(start)
			t.Logf("Python %s from %s: %v, %.1f MiB, %d files", img.PythonVersion, img.Source, took, float64(img.SizeBytes)/(1<<20), img.Files)
			if took > buildBudget || img.SizeBytes > mostBytes {
				t.Errorf("it took %v and has %d bytes", took, img.SizeBytes)
			}
			if len(lines) == 0 || !strings.Contains(lines[0], img.Source) {
				t.Errorf("the interpreter is not named first: %q", lines)
			}
			if strings.Contains(img.Source, "venv") || strings.Contains(img.Source, "shims") {
				t.Errorf("made from %s", img.Source)
			}
			var args []string
			if len(img.Packages) > 0 {
				args = append(args, "pip")
			}
			if _, err := os.Stat(filepath.Join(img.Root, bundle)); err == nil {
				args = append(args, "authorities")
			}
			if out := runInside(t, img, exercise, args...); strings.TrimSpace(out) != img.PythonVersion {
				t.Errorf("Python says %s, the image %s", out, img.PythonVersion)
			}
			if err := s.Verify(context.Background(), img.Name); err != nil {
				t.Error(err)
			}
			checkLinks(t, img)
			checkClosure(t, img, lines)
			checkCompiled(t, img)
		})
	}
}

// checkLinks makes sure that every link leads to something in the image.
func checkLinks(t *testing.T, img Image) {
	t.Helper()
	root, err := os.OpenRoot(img.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	links := 0
	err = filepath.WalkDir(img.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink == 0 {
			return err
		}
		links++
		if _, err := root.Stat(relative(strings.TrimPrefix(path, img.Root))); err != nil {
			t.Error(err)
		}
		return nil
	})
	if err != nil || links < len(mergedDirs) {
		t.Errorf("%d links, %v", links, err)
	}
	for _, dir := range slices.Concat(mountPoints, plainDirs) {
		info, err := os.Lstat(filepath.Join(img.Root, dir))
		if err != nil || !info.IsDir() {
			t.Errorf("%s is no directory: %v", dir, err)
		}
	}
}

// listLibraries has the image's own dynamic loader resolve each file.
const listLibraries = `
import glob, subprocess, sys
loader, = glob.glob("/lib64/ld-linux-*") or glob.glob("/lib/ld-linux-*")
for f in sys.stdin.read().split("\n"):
    r = subprocess.run([loader, "--list", f], capture_output=True, text=True)
    for line in (r.stdout + r.stderr).splitlines():
        if "not found" in line or "cannot" in line or "error" in line:
            print(f, line.strip())
`

// checkClosure makes sure that the image's loader finds every library that a
// file names, where the host has it at all.
func checkClosure(t *testing.T, img Image, notes []string) {
	t.Helper()
	l, err := newLoader(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	err = filepath.WalkDir(img.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if o, err := l.object(path); err == nil && o != nil && len(o.needed) > 0 {
			files = append(files, strings.TrimPrefix(path, img.Root))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("only %d files need libraries: does this test look at the right ones?", len(files))
	}
	code := strings.Replace(listLibraries, "sys.stdin.read()", fmt.Sprintf("%q", strings.Join(files, "\n")), 1)
	for line := range strings.Lines(runInside(t, img, code)) {
		known := slices.ContainsFunc(notes, func(note string) bool {
			soname, _, _ := strings.Cut(strings.TrimPrefix(note, "the host lacks "), ",")
			return strings.HasPrefix(note, "the host lacks ") && strings.Contains(line, soname)
		})
		if !known {
			t.Error(strings.TrimSpace(line))
		}
	}
}

// checkCompiled makes sure that Python takes the compiled modules, and that
// every module of the standard library has one.
func checkCompiled(t *testing.T, img Image) {
	t.Helper()
	out := runInside(t, img, `
import subprocess, sys
r = subprocess.run([sys.executable, "-I", "-B", "-v", "-c", "import json, ssl, subprocess, asyncio"], capture_output=True, text=True)
lines = r.stderr.splitlines()
print(sum("code object from" in l and ".pyc" not in l for l in lines), sum("code object from" in l and ".pyc" in l for l in lines))
import os
for folder, names, files in os.walk(os.path.dirname(os.__file__)):
    if "lib2to3" in folder or "__pycache__" in folder: continue
    for f in files:
        if f.endswith(".py"):
            cached = os.path.join(folder, "__pycache__", f[:-2] + sys.implementation.cache_tag + ".pyc")
            if not os.path.exists(cached): print(os.path.join(folder, f))
`)
	first, uncompiled, _ := strings.Cut(out, "\n")
	var fromSource, fromCompiled int
	if _, err := fmt.Sscan(first, &fromSource, &fromCompiled); err != nil {
		t.Fatal(err)
	}
	if fromSource > 0 || fromCompiled < 20 || uncompiled != "" {
		t.Errorf("%d modules were compiled at start, %d were not; not compiled at all: %s", fromSource, fromCompiled, uncompiled)
	}
}

// Two builds at the same time wait for each other and give the same image.
func TestTheSameContentIsTheSameImage(t *testing.T) {
	s := newStore(t)
	names := []string{"default", "other"}
	digests := make([]string, len(names))
	var waited sync.Once
	didWait := false
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			img, err := s.Build(context.Background(), BuildOptions{Name: name, Progress: func(line string) {
				if strings.HasPrefix(line, "waiting") {
					waited.Do(func() { didWait = true })
				}
			}})
			if err != nil {
				t.Error(err)
			}
			digests[i] = img.Digest
		})
	}
	group.Wait()
	if digests[0] != digests[1] || digests[0] == "" || !didWait {
		t.Errorf("digests %q; one waited for the other: %v", digests, didWait)
	}
	list, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, img := range list {
		got = append(got, img.Name)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// A build that is killed leaves nothing that can be seen, and the next one
// removes what it left.
func TestAKilledBuild(t *testing.T) {
	s := newStore(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), buildEnv+"="+s.dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "copying shared libraries" {
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it was done before it was killed")
	}
	for _, dir := range []string{imagesDir, namesDir} {
		if entries, err := os.ReadDir(s.path(dir)); err != nil || len(entries) != 0 {
			t.Errorf("visible in %s: %v, %v", dir, entries, err)
		}
	}
	if entries, err := os.ReadDir(s.path(tempDir)); err != nil || len(entries) == 0 {
		t.Errorf("nothing to sweep (%v): was it killed too early for this test?", err)
	}
	// One that is cancelled cleans up after itself and its predecessor.
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stop")
	_, err = s.Build(ctx, BuildOptions{Progress: func(line string) {
		if line == "copying programs" {
			cancel(stop)
		}
	}})
	if !errors.Is(err, stop) {
		t.Errorf("Build = %v", err)
	}
	if entries, _ := os.ReadDir(s.path(tempDir)); len(entries) != 0 {
		t.Errorf("left in tmp: %v", entries)
	}
}
