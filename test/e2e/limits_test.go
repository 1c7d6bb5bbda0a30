package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	v1 "tcid/api/v1"
)

// The limits of a session are in its cgroup.
func TestCgroupLimits(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{Resources: &v1.Resources{MemoryMB: 300, CPUs: 0.5, Pids: 77}})
	for pid := range processesOf(t, s.ID) {
		for name, want := range map[[2]string]string{
			{"memory", "memory.limit_in_bytes"}: "314572800", {"", "memory.max"}: "314572800",
			{"pids", "pids.max"}: "77", {"", "pids.max"}: "77",
			{"cpu", "cpu.cfs_quota_us"}: "50000", {"", "cpu.max"}: "50000 100000",
			{"", "memory.swap.max"}: "0", {"", "memory.oom.group"}: "0",
		} {
			got, ok := cgroupFile(t, pid, name[0], name[1])
			if ok && got != want {
				t.Errorf("%s is %s, want %s", name[1], got, want)
			}
		}
		if rules, ok := cgroupFile(t, pid, "devices", "devices.list"); ok && strings.Contains(rules, "a *:*") {
			t.Errorf("all devices are allowed: %s", rules)
		}
	}
}

// cgroupFile reads a file of a process's cgroup in the hierarchy of a
// controller, or in that of cgroup v2; not ok where it isn't there.
func cgroupFile(t *testing.T, pid int, controller, name string) (text string, ok bool) {
	t.Helper()
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if !slices.Contains(strings.Split(fields[1], ","), controller) {
			continue
		}
		for _, mount := range []string{"/sys/fs/cgroup/" + fields[1], "/sys/fs/cgroup/" + controller, "/sys/fs/cgroup"} {
			if content, err := os.ReadFile(mount + fields[2] + "/" + name); err == nil {
				return strings.TrimSpace(string(content)), true
			}
		}
	}
	return "", false
}

// A full workspace is in the receipt.
func TestFullWorkspace(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{Resources: &v1.Resources{MemoryMB: 256, DiskMB: 8}})
	e := d.exec(t, s.ID, v1.ExecSpec{Code: "open('a', 'wb').write(bytes(1 << 20)); None"}, v1.StatusOK)
	if len(e.Receipt.LimitsHit) != 0 || e.Receipt.WorkspaceBytes < 1<<20 || e.Receipt.WorkspaceFiles != 2 {
		t.Errorf("one file: %+v", e.Receipt)
	}
	e = d.exec(t, s.ID, v1.ExecSpec{Code: "open('b', 'wb').write(bytes(16 << 20))"}, v1.StatusError)
	if !slices.Contains(e.Receipt.LimitsHit, "disk") {
		t.Errorf("a full disk: %+v", e.Receipt)
	}
	e = d.exec(t, s.ID, v1.ExecSpec{Code: "import os; os.remove('b')\nfor i in range(10**6): open('n%d' % i, 'w').close()"}, v1.StatusError)
	if !slices.Contains(e.Receipt.LimitsHit, "files") || slices.Contains(e.Receipt.LimitsHit, "disk") {
		t.Errorf("no more files: %+v", e.Receipt)
	}
}
