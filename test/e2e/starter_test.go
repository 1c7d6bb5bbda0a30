package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	v1 "tcid/api/v1"
)

// starterIn finds the starter that daemons with a data directory have written.
func starterIn(t *testing.T, data string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(data, "starters", "*", "tcid"))
	if err != nil || len(found) != 1 {
		t.Fatalf("starters: %v %v", found, err)
	}
	return found[0]
}

// watchStarts runs do and returns the programs that the daemon's children of the
// name "init" execute meanwhile, which are those that make containers.
func (d *daemon) watchStarts(t *testing.T, do func()) (programs []*os.File) {
	t.Helper()
	stop, result := make(chan struct{}), make(chan []*os.File, 1)
	go func() {
		byPid := map[string]*os.File{}
		for {
			select {
			case <-stop:
				result <- slices.Collect(maps.Values(byPid))
				return
			default:
				d.lookForStarts(byPid)
			}
		}
	}()
	func() {
		defer close(stop)
		do()
	}()
	programs = <-result
	t.Cleanup(func() {
		for _, f := range programs {
			f.Close()
		}
	})
	return programs
}

// lookForStarts adds what it sees at this moment.
func (d *daemon) lookForStarts(programs map[string]*os.File) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", d.cmd.Process.Pid))
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for _, pid := range strings.Fields(string(children)) {
			command, err := os.ReadFile("/proc/" + pid + "/cmdline")
			if err != nil || programs[pid] != nil || !bytes.HasSuffix(command, []byte("\x00init\x00")) {
				continue
			}
			f, err := os.Open("/proc/" + pid + "/exe")
			if err != nil {
				continue
			}
			// It may have gone on to the container's init in between.
			if again, err := os.ReadFile("/proc/" + pid + "/cmdline"); err != nil || !bytes.Equal(again, command) {
				f.Close()
				continue
			}
			programs[pid] = f
		}
	}
}

// startsWith makes a session of each kind, and wants their containers to be made by
// one program, which nobody can write to.
func (d *daemon) startsWith(t *testing.T, path string) {
	t.Helper()
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, isolation := range []string{"fork", "fresh"} {
		starts := d.watchStarts(t, func() {
			s := d.create(t, v1.SessionSpec{Isolation: isolation})
			if e := d.run(t, s.ID, "6 * 7"); string(e.Result) != "42" || s.Isolation.Start != isolation {
				t.Errorf("%s %+v", e.Result, s.Isolation)
			}
		})
		if len(starts) == 0 {
			t.Fatalf("no container was seen to start with %s", isolation)
		}
		for _, f := range starts {
			got, err := io.ReadAll(f)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: a container is started with a program of %d bytes, not with %s of %d", isolation, len(got), path, len(want))
			}
			if err := unwritable(f); err != nil {
				t.Error(err)
			}
		}
		t.Logf("%s: %d processes seen", isolation, len(starts))
	}
}

// unwritable tries what CVE-2019-5736 did: to write to a program through a
// descriptor of it.
func unwritable(f *os.File) error {
	w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_WRONLY, 0)
	if errors.Is(err, syscall.EROFS) { // an overlay
		return nil
	}
	if err != nil {
		return fmt.Errorf("open what starts containers: %w", err)
	}
	defer w.Close()
	if _, err := w.WriteAt([]byte{0}, 0); !errors.Is(err, syscall.EPERM) { // a sealed copy in memory
		return errors.New("what starts containers can be written to")
	}
	return nil
}

// Containers are started with the starter alone, whatever the program imports.
func TestStarter(t *testing.T) {
	d := start(t, "--pool", "0")
	d.startsWith(t, starterIn(t, dataDir))
	if log := d.log.String(); strings.Contains(log, "whole program") {
		t.Errorf("the daemon says otherwise:\n%s", log)
	}
}

// ownProgram is a program that a test may replace, and a data directory of its own.
func ownProgram(t *testing.T) (path, data string) {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "tcid-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path, data = filepath.Join(dir, "tcid"), filepath.Join(dir, "data")
	if out, err := exec.Command("cp", program, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Mkdir(data, 0o711); err != nil {
		t.Fatal(err)
	}
	// Images are many files; links to them will do.
	if out, err := exec.Command("cp", "-al", dataDir+"/.", data).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.RemoveAll(filepath.Join(data, "starters")); err != nil {
		t.Fatal(err)
	}
	return path, data
}

// An upgrade replaces the program, and some time later the daemon is restarted.
// Until then, containers start as before.
func TestStarterWhenUpgraded(t *testing.T) {
	path, data := ownProgram(t)
	state := stateDir(t)
	d := startCommand(t, state, exec.Command(path, "serve", "--ephemeral", "--pool", "0", "--state-dir", state, "--data-dir", data))
	t.Cleanup(d.stop)
	if err := os.WriteFile(path+".new", []byte("#!/bin/false\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	d.startsWith(t, starterIn(t, data))
}

// Where the starter can't be used, the whole program starts containers.
func TestWithoutStarter(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(path, data string) error // before the daemon's start
		run     string                        // what is executed in place of the program's path
		after   func(data string) error
		silent  bool // the daemon can't know
	}{
		{name: "no directory", prepare: func(_, data string) error {
			return os.WriteFile(filepath.Join(data, "starters"), nil, 0o600)
		}},
		{name: "program deleted", prepare: func(path, _ string) error { return os.Remove(path) }, run: "/proc/self/fd/3"},
		{name: "starter deleted", after: func(data string) error { return os.RemoveAll(filepath.Join(data, "starters")) }, silent: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, data := ownProgram(t)
			held, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			if c.prepare != nil {
				if err := c.prepare(path, data); err != nil {
					t.Fatal(err)
				}
			}
			if c.run != "" {
				path = c.run
			}
			state := stateDir(t)
			cmd := exec.Command(path, "serve", "--ephemeral", "--pool", "0", "--state-dir", state, "--data-dir", data)
			cmd.ExtraFiles = []*os.File{held}
			d := startCommand(t, state, cmd)
			t.Cleanup(d.stop)
			if c.after != nil {
				if err := c.after(data); err != nil {
					t.Fatal(err)
				}
			}
			d.startsWith(t, program)
			if log := d.log.String(); strings.Contains(log, "whole program") == c.silent {
				t.Errorf("the daemon's log:\n%s", log)
			}
		})
	}
}

// initBudget is what the starter's packages may take to initialise, in
// milliseconds: each process that is started in a container pays for it.
const initBudget = 3.0

// The starter stays light: it has what libcontainer needs, and nothing of ours.
func TestInitBudget(t *testing.T) {
	start(t)
	starter := starterIn(t, dataDir)
	least, count := 1000.0, 0
	for range 10 { // the machine may be busy: the best of ten counts
		packages := initialised(t, starter)
		total := 0.0
		for name, ms := range packages {
			total += ms
			if strings.HasPrefix(name, "tcid/") || strings.HasPrefix(name, "net/http") || strings.Contains(name, "cobra") {
				t.Errorf("the starter initialises %s", name)
			}
		}
		least, count = min(least, total), len(packages)
	}
	whole := len(initialised(t, program))
	t.Logf("%d packages initialise in %.2f ms; of the whole program, %d", count, least, whole)
	if least > initBudget {
		t.Errorf("packages initialise in %.2f ms, the budget is %.0f", least, initBudget)
	}
	if count < 20 || count >= whole {
		t.Errorf("%d packages of %d", count, whole)
	}
}

// initialised has a program do what a start of a container begins with, and tells
// how many milliseconds each package took until the hook's turn came.
func initialised(t *testing.T, path string) map[string]float64 {
	t.Helper()
	cmd := exec.Command(path, "init")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, _ := cmd.CombinedOutput() // without its environment it fails, afterwards
	packages := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^init (\S+) @[0-9.]+ ms, ([0-9.]+) ms clock`).FindAllStringSubmatch(string(out), -1) {
		ms, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		packages[m[1]] = ms
	}
	return packages
}
