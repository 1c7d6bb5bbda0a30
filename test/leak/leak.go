// Package leak looks for what a daemon could leave behind on a host:
// processes, cgroups, mounts, namespaces, descriptors and directories. Every
// test that starts sandboxes compares the host before and after.
package leak

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	settle     = 10 * time.Second // the kernel frees namespaces and cgroups late
	settlePoll = 50 * time.Millisecond
)

// Host is what was found at one moment. The values say where.
type Host map[string]string

// Snapshot looks at the whole host.
func Snapshot() (Host, error) {
	h := Host{}
	for _, look := range []func(Host) error{processes, cgroupDirs, mounts, directories} {
		if err := look(h); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Of keeps what has one of the marks in its key or place: a daemon's state
// directory and cgroup. Other daemons may come and go meanwhile.
func (h Host) Of(marks ...string) Host {
	own := Host{}
	for key, where := range h {
		for _, mark := range marks {
			if strings.Contains(key, mark) || strings.Contains(where, mark) {
				own[key] = where
			}
		}
	}
	return own
}

// Check takes a snapshot now and compares it with another one when the test
// ends, after its other clean-ups. Call it first. With marks it looks at what
// has one of them only.
func Check(t *testing.T, marks ...string) {
	t.Helper()
	before, err := Snapshot()
	if err != nil {
		t.Fatalf("look at the host: %v", err)
	}
	t.Cleanup(func() { Compare(t, before, marks...) })
}

// Compare reports what is there that was not there before. It waits a while
// for the kernel to clean up.
func Compare(t *testing.T, before Host, marks ...string) {
	t.Helper()
	var more []string
	for deadline := time.Now().Add(settle); ; time.Sleep(settlePoll) {
		now, err := Snapshot()
		if err != nil {
			t.Fatalf("look at the host: %v", err)
		}
		if len(marks) > 0 {
			now = now.Of(marks...)
		}
		if more = now.Minus(before); len(more) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	t.Errorf("left behind on the host:\n  %s", strings.Join(more, "\n  "))
}

// Minus lists what h has and other has not.
func (h Host) Minus(other Host) []string {
	var more []string
	for key, where := range h {
		if _, ok := other[key]; !ok {
			more = append(more, key+" "+where)
		}
	}
	slices.Sort(more)
	return more
}

// ours matches the command lines and cgroups of our processes.
var ours = regexp.MustCompile(`tcid`)

// processes finds processes in a cgroup or with a command line of ours, and
// all namespaces that anything lives in.
func processes(h Host) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		cgroup, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil {
			continue // it has gone meanwhile
		}
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		text := strings.ReplaceAll(string(command), "\x00", " ") + "in " + strings.Join(strings.Fields(string(cgroup)), " ")
		if ours.Match(cgroup) {
			h["process "+e.Name()] = text
		}
		links, err := os.ReadDir(filepath.Join(dir, "ns"))
		if err != nil {
			continue
		}
		for _, l := range links {
			if target, err := os.Readlink(filepath.Join(dir, "ns", l.Name())); err == nil {
				h["namespace "+target] = fmt.Sprintf("(pid %d: %s)", pid, text)
			}
		}
	}
	return nil
}

func cgroupDirs(h Host) error {
	return filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // others may remove their cgroups while we look
		}
		if strings.Contains(path, "tcid") {
			h["cgroup "+path] = ""
		}
		return nil
	})
}

func mounts(h Host) error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		h["mount "+lines.Text()] = ""
	}
	return lines.Err()
}

// directories finds what daemons keep below /run.
func directories(h Host) error {
	found, err := filepath.Glob("/run/tcid*")
	if err != nil {
		return fmt.Errorf("list directories: %w", err)
	}
	for _, dir := range found {
		if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				h["path "+path] = ""
			}
			return nil
		}); err != nil {
			return fmt.Errorf("list directories: %w", err)
		}
	}
	return nil
}

// Descriptors lists what a process has open, with the numbers left out, so
// that two lists can be compared.
func Descriptors(pid int) ([]string, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list descriptors: %w", err)
	}
	var open []string
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			open = append(open, target)
		}
	}
	slices.Sort(open)
	return open, nil
}
