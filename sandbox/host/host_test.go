package host

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestGoodHost(t *testing.T) {
	mustBeRoot(t)
	r := checkTree(goodHost().plant(t), nil)
	for _, f := range r.Findings {
		if f.Status != OK || f.Detail == "" || f.Mend != "" {
			t.Errorf("%s: %+v", f.ID, f)
		}
	}
	if err := r.Lacks(nil); err != nil || len(r.Weaknesses()) != 0 {
		t.Errorf("%v, %v", err, r.Weaknesses())
	}
	if got := len(r.Findings); got != len(IDs()) {
		t.Errorf("%d findings of %d checks", got, len(IDs()))
	}
}

// Every state of every check. Whatever a change doesn't touch stays fine.
func TestChecks(t *testing.T) {
	mustBeRoot(t)
	v1 := with("/proc/self/mountinfo", procLine+hybridLines)
	hybrid := with("/proc/self/mountinfo", procLine+hybridLines+unifiedLine)
	swapOn := with("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n")
	mounts := func(lines string) func(tree) { return with("/proc/self/mountinfo", lines+v2Line) }
	sys := "/proc/sys/kernel/"
	for _, c := range []struct {
		id     string
		change func(tree)
		status Status
		detail string // a part of it
	}{
		{"root", with("/proc/self/status", strings.Replace(rootStatus, "0\t0", "1000\t1000", 1)), Missing, "1000"},
		{"root", with("/proc/self/status", "CapEff: 000001ffffffffff"), Missing, "doesn't tell"},
		{"capabilities", with("/proc/self/status", "Uid: 0 0 0 0\nCapEff: 000001ffffffffff"), OK, "all"},
		{"capabilities", func(tree) {}, OK, "SYS_RESOURCE"},
		{"capabilities", with("/proc/self/status", "Uid: 0 0 0 0\nCapEff: 00000000a80425fb"), Missing, "CAP_SYS_ADMIN, CAP_SYS_PTRACE"}, // Docker's
		{"capabilities", with("/proc/self/status", "Uid: 0 0 0 0\n"), Missing, "doesn't tell"},

		{"kernel-version", with(sys+"osrelease", "5.10"), OK, "5.10"},
		{"kernel-version", with(sys+"osrelease", "5.9.16"), Missing, "older"},
		{"kernel-version", with(sys+"osrelease", "4.19.0-1"), Missing, "older"},
		{"kernel-version", with(sys+"osrelease", "10.0.1"), OK, "10.0.1"},
		{"kernel-version", with(sys+"osrelease", "6.18.44"), OK, "works around"},
		{"kernel-version", with(sys+"osrelease", "7.2.0"), OK, "Linux 7.2.0"},
		{"kernel-version", with(sys+"osrelease", "odd"), Missing, "odd"},
		{"kernel-version", without(sys + "osrelease"), Missing, `""`},

		{"seccomp", without(sys + "seccomp/actions_avail"), Missing, "no seccomp"},
		{"seccomp", with(sys+"seccomp/actions_avail", "kill_thread errno allow"), Missing, "kill_process"},

		{"user-namespaces", with("/proc/sys/user/max_user_namespaces", "0"), Missing, "is 0"},
		{"user-namespaces", with("/proc/sys/user/max_user_namespaces", "3"), Weak, "only 3"},
		{"user-namespaces", without("/proc/sys/user/max_user_namespaces"), Missing, "tells nothing"},
		{"user-namespaces", without("/proc/self/ns/user"), Missing, "no user namespaces"},
		{"user-namespaces", with(sys+"apparmor_restrict_unprivileged_userns", "1"), OK, "AppArmor"},
		{"namespaces", with("/proc/sys/user/max_net_namespaces", "0"), Missing, "max_net_namespaces is 0"},
		{"namespaces", with("/proc/sys/user/max_net_namespaces", "2"), Weak, "max_net_namespaces is only 2"},
		{"namespaces", without("/proc/self/ns/cgroup"), Missing, "no cgroup namespaces"},

		{"host-ids", func(tree) {}, OK, "28664 of 28664"},
		{"host-ids", with("/proc/self/uid_map", "0 100000 65536"), Missing, "has none"},
		{"host-ids", with("/proc/self/gid_map", "0 0 524288"), Missing, "has none"},
		{"host-ids", with("/proc/self/uid_map", "0 0 1000000"), Weak, "7 of 28664"},
		{"host-ids", with("/etc/passwd", "a:x:600000:0::/:\nb:x:600001:0::/:\n"), OK, "28663 of 28664 blocks of 65536 ids are free; sessions don't get those of /etc/passwd"},
		{"host-ids", with("/etc/subuid", "a:524288:65537"), OK, "28662 of"},
		{"host-ids", with("/etc/subgid", "a:100000:4000000000"), Missing, "0 of"},
		{"host-ids", with("/etc/subgid", "# broken\na:b:c\nx\n\n:::\n"), OK, "28664 of"},

		{"overlay", with("/proc/filesystems", "nodev\tproc"), Missing, "no overlay"},
		{"overlay", both(with("/proc/filesystems", ""), with("/lib/modules/6.12.9-generic/kernel/fs/overlayfs/overlay.ko.zst", "")), OK, "module"},
		{"overlay", both(with("/proc/filesystems", ""), with("/lib/modules/6.12.9-generic/kernel/fs/overlayfs/overlay.ko", ""),
			with(sys+"modules_disabled", "1")), Missing, "modules_disabled"},

		{"cgroups", func(tree) {}, OK, "cgroup v2 with memory, pids, cpu"},
		{"cgroups", v1, OK, "cgroup v1 with"},
		{"cgroups", hybrid, OK, "empty v2 tree"},
		{"cgroups", with("/sys/fs/cgroup/cgroup.controllers", "cpu pids"), Missing, "without the controllers memory"},
		{"cgroups", with("/sys/fs/cgroup/cgroup.controllers", "cpu pids memory"), OK, "no cpuset"},
		{"cgroups", with("/proc/self/mountinfo", procLine), Missing, "no control groups"},
		{"cgroups", with("/proc/self/mountinfo", procLine+unifiedLine), Missing, "no control groups"},
		{"cgroups", with("/proc/self/mountinfo", procLine+strings.Replace(v2Line, "rw,nosuid", "ro,nosuid", 1)), Missing, "only be read"},
		{"cgroups", with("/proc/self/mountinfo", procLine+strings.ReplaceAll(hybridLines, "rw,freezer", "ro,freezer")), Missing, "/sys/fs/cgroup/freezer can only be read"},
		{"cgroups", with("/proc/self/mountinfo", procLine+strings.ReplaceAll(hybridLines, "rw,devices", "rw")), Missing, "devices"},

		{"proc-mounts", mounts(procLine + "40 21 0:40 / /proc/kcore rw - tmpfs tmpfs rw\n"), Missing, "/proc/kcore"},
		{"proc-mounts", mounts(procLine + "40 21 0:40 / /proc/sys/fs/binfmt_misc rw - binfmt_misc x rw\n"), OK, "none"},
		{"proc-mounts", mounts(procLine + "40 21 0:40 / /proc/kcore rw - tmpfs tmpfs rw\n41 1 0:20 / /mnt/proc rw - proc proc rw\n"), OK, "none at /mnt/proc"},
		{"proc-mounts", mounts(strings.Replace(procLine, "rw,nosuid", "ro,nosuid", 1)), Missing, "read-only"},
		{"proc-mounts", mounts(strings.Replace(procLine, "0:20 / ", "0:20 /sys ", 1)), Missing, "no whole proc"},
		{"proc-mounts", mounts(procLine + strings.Repeat("40 21 0:40 / /proc/x rw - tmpfs tmpfs rw\n", 9)), Missing, "and 4 more"},
		{"proc-mounts", mounts("garbage\n1 2 3\n"), Missing, "no whole proc"},

		{"swap", swapOn, Weak, "/dev/sda2 on without accounting"},
		{"swap", both(swapOn, with("/sys/fs/cgroup/system.slice/memory.swap.max", "max")), OK, "kept from using it"},
		{"swap", both(swapOn, with("/sys/fs/cgroup/memory.swap.max", "max")), OK, "kept from using it"},
		{"swap", both(swapOn, v1), Weak, "without accounting"},
		{"swap", both(swapOn, hybrid, with("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "1")), OK, "kept from using it"},

		{"memory", with("/proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable: 500000 kB\n"), Weak, "488 of 1953"},
		{"process-ids", with(sys+"pid_max", "4096"), Weak, "so that 16 can"},
		{"process-ids", with(sys+"threads-max", "2000"), Weak, "2000"},

		{"core-pattern", with(sys+"core_pattern", "|/usr/lib/systemd/systemd-coredump %P"), Weak, "systemd-coredump"},
		{"core-pattern", with(sys+"core_pattern", "@@/run/coredump.socket"), Weak, "socket"},
		{"core-pattern", without(sys + "core_pattern"), OK, "none"},
		{"bpf", with(sys+"unprivileged_bpf_disabled", "0"), Weak, "is 0"},
		{"bpf", without(sys + "unprivileged_bpf_disabled"), OK, "no such call"},
		{"io-uring", with(sys+"io_uring_disabled", "1"), Weak, "is 1"},
		{"io-uring", without(sys + "io_uring_disabled"), OK, "can't switch it off"},
		{"ptrace-scope", without(sys + "yama/ptrace_scope"), OK, "no Yama"},
		{"keys", without(sys + "keys/maxkeys"), OK, "none"},
		{"kernel-modules", with("/proc/modules", "algif_hash 1 0 - Live\nesp4 1 0 - Live\nvsock 1 0 - Live\nvsockets 1 0\n"), Weak, "algif_hash, esp4, vsock, which"},
		{"kernel-modules", without("/proc/modules"), OK, "none"},

		{"cpu-vulnerabilities", with(cpuDir+"/vulnerabilities/mds", "Vulnerable: Clear CPU buffers attempted, no microcode; SMT vulnerable"), Weak, "open are mds:"},
		{"smt", with(cpuDir+"/smt/active", "1"), Weak, "on"},
		{"smt", without(cpuDir + "/smt/active"), OK, "none"},
		{"ksm", with("/sys/kernel/mm/ksm/run", "1"), Weak, "on"},
		{"ksm", with("/sys/kernel/mm/ksm/run", "2"), OK, "off"},
		{"ksm", with("/sys/kernel/mm/ksm/run", "what"), Weak, "could not read /sys/kernel/mm/ksm/run"},
		{"inotify", without("/proc/sys/fs/inotify/max_user_instances", "/proc/sys/fs/inotify/max_user_watches"), OK, "none"},
	} {
		t.Run(c.id, func(t *testing.T) {
			host := goodHost()
			c.change(host)
			f := checkTree(host.plant(t), nil).find(t, c.id)
			if f.Status != c.status || !strings.Contains(f.Detail, c.detail) {
				t.Errorf("want %s with %q, got %+v", c.status, c.detail, f)
			}
			if (f.Mend == "") != (f.Status == OK) {
				t.Errorf("only what is not ok can be mended: %+v", f)
			}
			if f.Status == Missing && !f.Required {
				t.Errorf("missing, but not required: %+v", f)
			}
		})
	}
}

func TestRefusedCalls(t *testing.T) {
	f := checkTree(goodHost().plant(t), map[string]error{"openat2": unix.ENOSYS, "clone3": unix.EPERM}).find(t, "system-calls")
	if f.Status != Missing || !strings.Contains(f.Detail, "clone3: operation not permitted, openat2: function not implemented") {
		t.Errorf("%+v", f)
	}
	if f := checkTree(goodHost().plant(t), nil).find(t, "system-calls"); f.Status != OK {
		t.Errorf("%+v", f)
	}
	if refused := (thisKernel{}).Calls(); len(refused) != 0 {
		t.Errorf("this kernel refuses %v", refused)
	}
}

// Not to be allowed to look is not the same as to have seen nothing.
func TestUnreadableIsWeak(t *testing.T) {
	root := goodHost().plant(t)
	path := root + "/proc/modules"
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil { // reading it fails
		t.Fatal(err)
	}
	if f := checkTree(root, nil).find(t, "kernel-modules"); f.Status != Weak || !strings.Contains(f.Detail, "could not read /proc/modules") {
		t.Errorf("%+v", f)
	}
}

// A check sees an empty machine, or a strange one, without falling over.
func TestNothingThere(t *testing.T) {
	for _, f := range checkTree(t.TempDir(), nil).Findings {
		if f.Detail == "" || f.Required && f.Status == Weak {
			t.Errorf("%+v", f)
		}
	}
}

func TestDecide(t *testing.T) {
	mustBeRoot(t)
	host := goodHost()
	both(without("/proc/sys/kernel/seccomp/actions_avail"), with("/proc/filesystems", ""),
		with("/proc/sys/kernel/unprivileged_bpf_disabled", "0"))(host)
	r := checkTree(host.plant(t), nil)
	err := r.Lacks(nil)
	if err == nil {
		t.Fatal("the host is taken")
	}
	for _, part := range []string{
		"\n  seccomp: system call filter: the kernel has no seccomp filters\n    mend: boot", "\n  overlay: ",
		"--accept-weakness seccomp --accept-weakness overlay", "tcid doctor",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), "bpf") {
		t.Errorf("what is weak is no reason:\n%v", err)
	}
	if err := r.Lacks([]string{"seccomp"}); err == nil || strings.Contains(err.Error(), "seccomp") {
		t.Errorf("with seccomp accepted: %v", err)
	}
	if err := r.Lacks([]string{"overlay", "seccomp"}); err != nil {
		t.Errorf("with all accepted: %v", err)
	}
	var ids []string
	for _, f := range r.Weaknesses() {
		ids = append(ids, f.ID)
	}
	if !slices.Equal(ids, []string{"seccomp", "overlay", "bpf"}) {
		t.Errorf("weaknesses: %v", ids)
	}
}

func TestNames(t *testing.T) {
	docs, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for _, id := range IDs() {
		if seen[id] || !kebab.MatchString(id) {
			t.Errorf("%q is not a name of its own in kebab case", id)
		}
		seen[id] = true
		if !strings.Contains(string(docs), "`"+id+"`") {
			t.Errorf("docs/cli.md doesn't explain %s", id)
		}
	}
	if err := KnownIDs(IDs()); err != nil {
		t.Error(err)
	}
	if err := KnownIDs([]string{"seccomp", "nope"}); err == nil || !strings.Contains(err.Error(), `"nope"`) || !strings.Contains(err.Error(), "user-namespaces") {
		t.Errorf("an unknown name: %v", err)
	}
}

// The daemon looks at every start, so that it must be quick. The bound is for
// a busy machine; BenchmarkThisHost tells the real figure.
func TestQuick(t *testing.T) {
	best := time.Hour
	for range 5 {
		start := time.Now()
		Check(Options{StateDir: "/run/tcid", DataDir: "/var/lib/tcid"})
		best = min(best, time.Since(start))
	}
	if best > 20*time.Millisecond {
		t.Errorf("looking at this host takes %v", best)
	}
}

func BenchmarkThisHost(b *testing.B) {
	for b.Loop() {
		Check(Options{StateDir: "/run/tcid", DataDir: "/var/lib/tcid"})
	}
}

func mustBeRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs files that belong to root: run it as root")
	}
}
