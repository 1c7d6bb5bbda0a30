package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// leastProcesses are the init and the kernel.
const leastProcesses = 2

// inspectProcesses reads about every process in the cgroup of a sandbox what the
// kernel, not the process, says.
func inspectProcesses(id string) (count int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, fmt.Errorf("look at the sandbox: %w", err)
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !strings.Contains(string(groups), "/"+id) {
			continue // another process, or one that has just gone
		}
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			return 0, fmt.Errorf("look at the sandbox: %w", err)
		}
		if fault := processFault(string(status)); fault != "" {
			return 0, errors.New("a process of the sandbox " + fault)
		}
		if err := ownNamespaces(dir); err != nil {
			return 0, err
		}
		count++
	}
	if count < leastProcesses {
		return 0, fmt.Errorf("only %d processes are in the sandbox's cgroup", count)
	}
	return count, nil
}

// ownNamespaces compares a process's namespaces with the daemon's.
func ownNamespaces(dir string) error {
	for _, kind := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		ours, err1 := os.Readlink("/proc/self/ns/" + kind)
		its, err2 := os.Readlink(filepath.Join(dir, "ns", kind))
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("look at the sandbox: %w", err)
		}
		if ours == its {
			return fmt.Errorf("a process of the sandbox is in the host's %s namespace", kind)
		}
	}
	return nil
}

// firstSandboxID is the lowest id of any sandbox's process on the host.
const firstSandboxID = 524288

// processFault reads a process's status file and says what is wrong with it.
func processFault(status string) string {
	values := make(map[string]string)
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		values[key] = strings.TrimSpace(value)
	}
	if values["Seccomp"] != "2" {
		return fmt.Sprintf("runs without a filter: Seccomp is %q, not 2", values["Seccomp"])
	}
	if values["NoNewPrivs"] != "1" {
		return fmt.Sprintf("can get privileges: NoNewPrivs is %q, not 1", values["NoNewPrivs"])
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		if strings.Trim(values[set], "0") != "" || values[set] == "" {
			return fmt.Sprintf("has capabilities: %s is %q", set, values[set])
		}
	}
	for _, ids := range []string{"Uid", "Gid"} {
		for _, word := range strings.Fields(values[ids]) {
			if id, err := strconv.ParseUint(word, 10, 32); err != nil || id < firstSandboxID {
				return fmt.Sprintf("has ids of the host: %s is %q", ids, values[ids])
			}
		}
	}
	return ""
}
