package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	v1 "tcid/api/v1"
)

// The limits of a session are in its cgroup.
func TestCgroupLimits(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{Resources: &v1.Resources{MemoryMB: 300, CPUs: 0.5, Pids: 77}})
	for pid := range processesOf(t, s.Sandbox) {
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

// All sessions together leave the host some memory and process ids.
func TestLimitOfAllSessions(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	for pid := range processesOf(t, s.Sandbox) {
		bounds := 0
		for _, name := range [][2]string{{"memory", "memory.limit_in_bytes"}, {"", "memory.max"}, {"pids", "pids.max"}, {"", "pids.max"}} {
			for dir := "../"; len(dir) <= len("../../../"); dir += "../" {
				text, ok := cgroupFile(t, pid, name[0], dir+name[1])
				most, err := strconv.ParseInt(text, 10, 64)
				if !ok || err != nil || most >= 1<<60 {
					continue // "max", or as good as that
				}
				bounds++
				if own, err := os.ReadFile("/proc/sys/kernel/pid_max"); err != nil || name[1] == "pids.max" && text == strings.TrimSpace(string(own)) {
					t.Errorf("%s is %s, all of the host's; %v", name[1], text, err)
				}
				break
			}
		}
		if bounds != 2 {
			t.Errorf("%d of memory and process ids are bounded", bounds)
		}
		return
	}
	t.Error("there is no process")
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

// Each limit that a program hits is in the receipt, with how much of it.
func TestLimitsInTheReceipt(t *testing.T) {
	d := start(t)
	second := 1.0
	for _, c := range []struct {
		name, code, status, limit string
		resources                 v1.Resources
		spec                      v1.ExecSpec
		counted                   func(v1.Receipt) bool
	}{
		{"nothing", "1 + 1", v1.StatusOK, "", v1.Resources{}, v1.ExecSpec{}, func(r v1.Receipt) bool {
			return r.OOMKills == 0 && r.RefusedForks == 0 && r.MaxOpenFiles != nil && *r.MaxOpenFiles >= 4 && *r.MaxOpenFiles < 20 &&
				r.DroppedOutputBytes == 0 && r.DroppedDisplays == 0 && r.Displays == 1
		}},
		{"memory", "x = bytearray(1 << 30)", v1.StatusMemoryLimit, "memory", v1.Resources{MemoryMB: 128}, v1.ExecSpec{}, func(r v1.Receipt) bool {
			return r.OOMKills >= 1
		}},
		{"a child's memory", "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'x = bytearray(1 << 30)'])", v1.StatusOK, "memory",
			v1.Resources{MemoryMB: 128}, v1.ExecSpec{}, func(r v1.Receipt) bool { return r.OOMKills == 1 }},
		{"processor", "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass", v1.StatusOK, "cpu",
			v1.Resources{CPUs: 0.25}, v1.ExecSpec{}, func(r v1.Receipt) bool { return r.ThrottledMS > 100 }}, // some 1,200 on an idle machine
		{"processes", "import os, time\ntry:\n    while True:\n        if os.fork() == 0: time.sleep(100)\nexcept OSError: pass", v1.StatusOK, "pids",
			v1.Resources{Pids: 40}, v1.ExecSpec{}, func(r v1.Receipt) bool { return r.RefusedForks == 1 }},
		{"threads", "import threading, time\ntry:\n    while True: threading.Thread(target=time.sleep, args=(1,), daemon=True).start()\nexcept RuntimeError: pass",
			v1.StatusOK, "pids", v1.Resources{Pids: 40}, v1.ExecSpec{}, func(r v1.Receipt) bool { return r.RefusedForks >= 1 }},
		{"open files", "files = []\nwhile True: files.append(open('/dev/null'))", v1.StatusError, "open_files", v1.Resources{}, v1.ExecSpec{},
			func(r v1.Receipt) bool { return r.MaxOpenFiles != nil && *r.MaxOpenFiles == 1024 }},
		{"files that were open", "import os, time\nfiles = []\ntry:\n    while True: files.append(os.dup(0))\nexcept OSError: time.sleep(0.3)\nfor f in files: os.close(f)",
			v1.StatusOK, "open_files", v1.Resources{}, v1.ExecSpec{}, func(r v1.Receipt) bool { return r.MaxOpenFiles != nil && *r.MaxOpenFiles == 1024 }},
		{"a disk that was full", "import os, time\ntry: open('a', 'wb').write(bytes(16 << 20))\nexcept OSError: time.sleep(0.3)\nos.remove('a')",
			v1.StatusOK, "disk", v1.Resources{DiskMB: 8}, v1.ExecSpec{}, func(r v1.Receipt) bool { return r.WorkspaceBytes < 1<<20 && r.WorkspaceFiles == 1 }},
		{"files", "for i in range(10**6): open('n%d' % i, 'w').close()", v1.StatusError, "files",
			v1.Resources{DiskMB: 8}, v1.ExecSpec{}, func(r v1.Receipt) bool { return r.WorkspaceFiles == 1024 }},
		{"output", "print('x' * 9999)", v1.StatusOK, "output", v1.Resources{}, v1.ExecSpec{MaxOutputBytes: 1000},
			func(r v1.Receipt) bool { return r.OutputBytes == 10000 && r.DroppedOutputBytes == 9000 }},
		{"displays", "for i in range(1100): display(i)", v1.StatusOK, "displays", v1.Resources{}, v1.ExecSpec{},
			func(r v1.Receipt) bool { return r.Displays == 1100 && r.DroppedDisplays == 100 }},
		{"time", "while True: pass", v1.StatusTimeout, "time", v1.Resources{}, v1.ExecSpec{Timeout: &second},
			func(r v1.Receipt) bool { return r.WallMS >= 1000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := d.create(t, v1.SessionSpec{Resources: &c.resources})
			c.spec.Code = c.code
			e := d.exec(t, s.ID, c.spec, c.status)
			// Where the machine is busy, the processors' limit may come to bear too.
			others := slices.DeleteFunc(slices.Clone(e.Receipt.LimitsHit), func(l string) bool { return l == "cpu" && c.limit != "cpu" })
			if strings.Join(others, " ") != c.limit || !c.counted(e.Receipt) {
				t.Errorf("receipt = %+v", e.Receipt)
			}
			if err := d.CloseSession(callContext(t), s.ID); err != nil {
				t.Error(err)
			}
		})
	}
}
