package container

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runc/libcontainer/configs"

	"tcid/sandbox"
)

var testLimits = sandbox.Limits{
	MemoryBytes: 1 << 30, CPUs: 1.5, Pids: 128, DiskBytes: 512 << 20, DiskInodes: 65536,
	ShmBytes: 64 << 20, OpenFiles: 1024,
}

// What must hold for every container, read off the configuration; the
// end-to-end tests look at the real thing.
func TestContainerConfig(t *testing.T) {
	c := containerConfig(sandbox.Spec{ID: "x", Limits: testLimits}, "/root", "/devices", "/tcid/x", &holder{base: firstID, cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}})
	if c.Capabilities == nil || len(c.Capabilities.Bounding)+len(c.Capabilities.Effective)+len(c.Capabilities.Permitted) != 0 {
		t.Error("capabilities are not empty; nil would keep all of them")
	}
	if !c.NoNewPrivileges || !c.Readonlyfs || !c.NoNewKeyring {
		t.Error("a safeguard is off")
	}
	for _, kind := range []configs.NamespaceType{
		configs.NEWUSER, configs.NEWNS, configs.NEWPID, configs.NEWNET, configs.NEWIPC, configs.NEWUTS, configs.NEWCGROUP,
	} {
		if !c.Namespaces.Contains(kind) {
			t.Errorf("no %s namespace of its own", kind)
		}
	}
	// It would be written into the namespace that the holder owns.
	for key := range c.Sysctl {
		if strings.HasPrefix(key, "user.") {
			t.Errorf("sysctl %s", key)
		}
	}
	for _, m := range c.Mounts {
		if m.IsBind() && !strings.HasPrefix(m.Source, "/devices/") {
			t.Errorf("%s is bind-mounted from the host", m.Destination)
		}
		if m.Device == "tmpfs" && (!strings.Contains(m.Data, "size=") || !strings.Contains(m.Data, "nr_inodes=")) {
			t.Errorf("%s has no limit: %s", m.Destination, m.Data)
		}
	}
	r := c.Cgroups.Resources
	if r.Memory != 1<<30 || *r.PidsLimit != 128 || r.CpuQuota != 150_000 || r.CpuPeriod != cpuPeriod {
		t.Errorf("resources = %+v", r)
	}
	if swapAccounted() && r.MemorySwap != r.Memory {
		t.Error("swap is not forbidden")
	}
	if first := r.Devices[0]; first.Allow || first.Permissions != "rwm" {
		t.Error("the device rules don't begin by denying everything")
	}
}

func TestRlimitsStayBelowTheDaemons(t *testing.T) {
	for _, arg := range rlimits(testLimits) {
		if n := strings.Count(arg, ":"); n != 2 {
			t.Errorf("%q is not KIND:SOFT:HARD", arg)
		}
	}
}

func TestReachable(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "tcid-reach-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	inner := filepath.Join(dir, "state")
	if err := os.Mkdir(inner, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := checkReachable(inner); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory below one with mode 0700: %v", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := checkReachable(inner); err != nil {
		t.Errorf("a reachable directory: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(inner, link); err != nil {
		t.Fatal(err)
	}
	if err := checkReachable(link); err == nil {
		t.Error("a symbolic link is taken")
	}
}

func TestValidID(t *testing.T) {
	for id, ok := range map[string]bool{
		"ses_2NEpo7TZRRrLZSi2U": true, "a-b_C9": true,
		"": false, "..": false, "a/b": false, "a.b": false, "é": false, strings.Repeat("a", 65): false, "a\x00": false,
	} {
		if err := validID(id); (err == nil) != ok {
			t.Errorf("validID(%q) = %v", id, err)
		}
	}
}
