package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"tcid/sandbox"
)

var testLimits = sandbox.Limits{
	MemoryBytes: 1 << 30, CPUs: 1.5, Pids: 128, DiskBytes: 512 << 20, DiskInodes: 65536,
	ShmBytes: 64 << 20, OpenFiles: 1024,
}

// What must hold for every container, read off the configuration; the
// end-to-end tests look at the real thing.
func TestContainerConfig(t *testing.T) {
	c := containerConfig(sandbox.Spec{Limits: testLimits}, "/root", "/devices", "/tcid/x",
		owner{&holder{base: firstID, userns: os.Stdin}, kernelUID, initUID})
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
	for _, l := range rlimits(testLimits) {
		var own unix.Rlimit
		if err := unix.Getrlimit(int(l.kind), &own); err != nil {
			t.Fatal(err)
		}
		if l.soft > l.hard || l.hard > own.Max {
			t.Errorf("limit %d: soft %d, hard %d, the daemon's %d", l.kind, l.soft, l.hard, own.Max)
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
