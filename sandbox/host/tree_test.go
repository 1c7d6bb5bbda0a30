package host

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// tree is a host made of files: path to content. A path that ends in '/' is a
// directory.
type tree map[string]string

const (
	procLine    = "21 1 0:20 / /proc rw,nosuid shared:5 - proc proc rw\n"
	hybridLines = "30 1 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
		"31 30 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:1 master:2 - cgroup cgroup rw,cpu,cpuacct\n" +
		"32 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
		"33 30 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n" +
		"34 30 0:29 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n" +
		"35 30 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n"
	unifiedLine = "36 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	v2Line      = "30 1 0:25 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	rootStatus  = "Name:\ttcid\nUid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffff\n" // as measured, without SYS_RESOURCE
)

// goodHost has nothing to complain about.
func goodHost() tree {
	t := tree{
		"/proc/self/status":                                     rootStatus,
		"/proc/self/uid_map":                                    "         0          0 4294967295\n",
		"/proc/self/gid_map":                                    "         0          0 4294967295\n",
		"/proc/self/mountinfo":                                  procLine + v2Line,
		"/proc/sys/kernel/osrelease":                            "6.12.9-generic\n",
		"/proc/sys/kernel/seccomp/actions_avail":                "kill_process kill_thread trap errno user_notif trace log allow\n",
		"/proc/sys/kernel/core_pattern":                         "core\n",
		"/proc/sys/kernel/unprivileged_bpf_disabled":            "2\n",
		"/proc/sys/kernel/io_uring_disabled":                    "2\n",
		"/proc/sys/kernel/yama/ptrace_scope":                    "1\n",
		"/proc/sys/kernel/keys/maxkeys":                         "200\n",
		"/proc/sys/kernel/keys/root_maxkeys":                    "1000000\n",
		"/proc/sys/kernel/pid_max":                              "4194304\n",
		"/proc/sys/kernel/threads-max":                          "192728\n",
		"/proc/sys/fs/inotify/max_user_instances":               "128\n",
		"/proc/sys/fs/inotify/max_user_watches":                 "192533\n",
		"/proc/filesystems":                                     "nodev\tproc\nnodev\toverlay\n\text4\n",
		"/proc/swaps":                                           "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
		"/proc/meminfo":                                         "MemTotal:       24684560 kB\nMemAvailable:   20000000 kB\n",
		"/proc/modules":                                         "vfat 20480 1 - Live 0x0\n",
		"/sys/fs/cgroup/cgroup.controllers":                     "cpuset cpu io memory hugetlb pids\n",
		"/sys/devices/system/cpu/smt/active":                    "0\n",
		"/sys/devices/system/cpu/vulnerabilities/meltdown":      "Not affected\n",
		"/sys/devices/system/cpu/vulnerabilities/itlb_multihit": "KVM: Vulnerable\n",
		"/sys/kernel/mm/ksm/run":                                "0\n",
		"/etc/passwd":                                           "root:x:0:0::/root:/bin/sh\n",
		"/etc/group":                                            "root:x:0:\n",
		"/etc/subuid":                                           "me:100000:65536\n",
		"/etc/subgid":                                           "",
		"/var/lib/tcid/secrets/keys":                            "",
		"/run/":                                                 "",
	}
	for _, kind := range []string{"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"} {
		t["/proc/self/ns/"+kind] = ""
		t["/proc/sys/user/max_"+kind+"_namespaces"] = "96364\n"
	}
	return t
}

// without is a host that lacks some files.
func without(paths ...string) func(tree) {
	return func(t tree) {
		for _, p := range paths {
			delete(t, p)
		}
	}
}

// with is a host with another file.
func with(path, content string) func(tree) { return func(t tree) { t[path] = content } }

func both(changes ...func(tree)) func(tree) {
	return func(t tree) {
		for _, c := range changes {
			c(t)
		}
	}
}

// plant writes a tree to a directory that everybody can walk through.
func (t tree) plant(tb testing.TB) string {
	tb.Helper()
	root := tb.TempDir()
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	for path := range maps.Keys(t) {
		dir := path
		if path[len(path)-1] != '/' {
			dir = filepath.Dir(path)
		}
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			tb.Fatal(err)
		}
		if dir == path {
			continue
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(t[path]), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	secrets := filepath.Join(root, "/var/lib/tcid/secrets")
	if err := os.Chmod(secrets, 0o700); err != nil && !errors.Is(err, os.ErrNotExist) {
		tb.Fatal(err)
	}
	return root
}

// fakeKernel refuses some calls.
type fakeKernel map[string]error

func (k fakeKernel) Calls() map[string]error { return k }

func checkTree(root string, refused map[string]error) Report {
	return Check(Options{Root: root, StateDir: "/run/tcid", DataDir: "/var/lib/tcid", System: fakeKernel(refused)})
}

func (r Report) find(tb testing.TB, id string) Finding {
	tb.Helper()
	for _, f := range r.Findings {
		if f.ID == id {
			return f
		}
	}
	tb.Fatalf("no finding is called %q", id)
	return Finding{}
}
