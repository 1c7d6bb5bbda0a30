package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const cgroupMount = "/sys/fs/cgroup"

// lookAtHost fills in where this runs.
func (r *Report) lookAtHost() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	mem, err := meminfo()
	if err != nil {
		return err
	}
	h := Host{Kernel: unix.ByteSliceToString(u.Release[:]), Cores: runtime.NumCPU(), MemoryMiB: int(mem["MemTotal"] >> 20), Swap: mem["SwapTotal"] > 0}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				h.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscanf(string(text), "%f", &h.Load)
	}
	h.Cgroup = cgroupMode()
	r.Host = h
	return nil
}

// cgroupMode is v1, hybrid or v2.
func cgroupMode() string {
	if _, err := os.Stat(cgroupMount + "/cgroup.controllers"); err == nil {
		return "v2"
	}
	if _, err := os.Stat(cgroupMount + "/unified/cgroup.procs"); err == nil {
		return "hybrid"
	}
	return "v1"
}

// meminfo reads /proc/meminfo, in bytes.
func meminfo() (map[string]int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := map[string]int64{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		var kib int64
		if _, err := fmt.Sscanf(value, "%d kB", &kib); err == nil {
			m[name] = kib << 10
		}
	}
	return m, lines.Err()
}

// removeCgroups removes the cgroups whose name begins with mark, in all
// hierarchies. Competitors leave them behind.
func removeCgroups(mark string) error {
	var failed []error
	for _, pattern := range []string{"/*/", "/"} {
		found, _ := filepath.Glob(cgroupMount + pattern + mark + "*")
		for _, dir := range found {
			failed = append(failed, removeCgroup(dir))
		}
	}
	return errors.Join(failed...)
}

func removeCgroup(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := len(dirs) - 1; i >= 0; i-- { // leaves first
		if err := syscall.Rmdir(dirs[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the cgroup %s: %w", dirs[i], err)
		}
	}
	return nil
}
