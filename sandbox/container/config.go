package container

import (
	"fmt"
	"path/filepath"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"tcid/sandbox"
)

// Ids inside a user namespace that one session has for itself. The kernel and
// the init differ, so that user code can neither signal nor inspect PID 1.
const (
	kernelUID = 1000
	initUID   = 1001
)

const (
	hostname      = "sandbox"
	oomScoreAdj   = 500 // the host's out-of-memory killer takes sessions first
	tmpInodes     = 4096
	shmInodes     = 1024
	devInodes     = 64
	stackBytes    = 8 << 20
	pendingSigs   = 64
	sandboxUmask  = 0o022
	nosuidNodev   = unix.MS_NOSUID | unix.MS_NODEV
	noexecToo     = nosuidNodev | unix.MS_NOEXEC
	terminalGroup = 5
	// The host has one pool of pseudo-terminals for all.
	maxTerminals = 64
)

// hiddenPaths tell about the host and are of no use to a session. Those that
// the host doesn't have are skipped.
var hiddenPaths = []string{
	"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
	"/proc/interrupts", "/proc/kallsyms", "/proc/kmsg", "/proc/kpagecount",
	"/proc/kpageflags", "/proc/kpagecgroup", "/proc/modules", "/proc/config.gz",
	"/proc/key-users", "/proc/slabinfo", "/proc/vmallocinfo", "/proc/zoneinfo",
	"/proc/buddyinfo", "/proc/pagetypeinfo", "/proc/iomem", "/proc/ioports",
	"/proc/partitions", "/proc/diskstats", "/proc/mdstat", "/proc/swaps",
	"/proc/cmdline", "/proc/driver", "/proc/tty", "/proc/pressure",
	"/proc/schedstat", "/proc/softirqs", "/proc/locks", "/proc/bus", "/proc/fs",
	"/proc/irq", "/proc/cgroups",
}

var readonlyPaths = []string{"/proc/sys", "/proc/sysrq-trigger"}

// containerConfig is everything that is enforced around a session, but what
// the holder and the filter add. Fields that are left out mean "none" or "no",
// except where a comment says otherwise.
func containerConfig(spec sandbox.Spec, rootfs, devices, cgroupPath string, o owner) *configs.Config {
	c := baseConfig(rootfs, cgroupPath, o.holder, resources(spec.Limits))
	c.Namespaces = append(c.Namespaces, configs.Namespace{Type: configs.NEWPID}, configs.Namespace{Type: configs.NEWCGROUP})
	c.Mounts = append(mounts(spec.Limits, o.kernel), deviceMounts(devices)...)
	c.MaskPaths = hiddenPaths
	// proc's subset=pid would hide more, but libcontainer itself reads
	// /proc/sys/kernel/cap_last_cap there.
	c.ReadonlyPaths = readonlyPaths
	c.NoNewPrivileges = true
	return finalConfig(c)
}

// baseConfig is what sessions and zygotes have in common.
func baseConfig(rootfs, cgroupPath string, h *holder, limits *cgroups.Resources) *configs.Config {
	umask := uint32(sandboxUmask)
	oom := oomScoreAdj
	ids := []configs.IDMap{{ContainerID: 0, HostID: int64(h.base), Size: blockSize}}
	return &configs.Config{
		Rootfs:     rootfs,
		Readonlyfs: true,
		Umask:      &umask,
		Hostname:   hostname,
		Namespaces: configs.Namespaces{
			{Type: configs.NEWUSER, Path: h.usernsPath()},
			{Type: configs.NEWNS}, {Type: configs.NEWIPC}, {Type: configs.NEWUTS}, {Type: configs.NEWNET},
		},
		// Not applied, since the namespace is joined: libcontainer computes
		// host ids with them.
		UIDMappings: ids,
		GIDMappings: ids,
		Networks:    []*configs.Network{{Type: "loopback"}},
		// Not nil: nil would keep every capability.
		Capabilities: &configs.Capabilities{},
		// A session keyring per container would use up root's quota of keys at
		// some 200 containers; the filter denies all key calls.
		NoNewKeyring: true,
		OomScoreAdj:  &oom,
		Cgroups:      &cgroups.Cgroup{Path: cgroupPath, Resources: limits},
	}
}

// mounts are a session's. uid owns the workspace.
func mounts(l sandbox.Limits, uid uint32) []*configs.Mount {
	list := []*configs.Mount{
		{Source: "proc", Destination: "/proc", Device: "proc", Flags: noexecToo, Data: "hidepid=2"},
		devMount,
		{Source: "devpts", Destination: "/dev/pts", Device: "devpts", Flags: unix.MS_NOSUID | unix.MS_NOEXEC,
			Data: fmt.Sprintf("newinstance,max=%d,ptmxmode=0666,mode=0620,gid=%d", maxTerminals, terminalGroup)},
	}
	for _, m := range writable(l, uid) {
		list = append(list, m.mount())
	}
	return list
}

var devMount = tmpfs{
	unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_STRICTATIME, "/dev", fmt.Sprintf("mode=755,size=64k,nr_inodes=%d", devInodes),
}.mount()

// writable are the file systems that user code can write to.
func writable(l sandbox.Limits, uid uint32) []tmpfs {
	return []tmpfs{
		{noexecToo, "/dev/shm", fmt.Sprintf("mode=1777,size=%d,nr_inodes=%d", l.ShmBytes, shmInodes)},
		{nosuidNodev, "/tmp", fmt.Sprintf("mode=1777,size=%d,nr_inodes=%d", l.DiskBytes, tmpInodes)},
		{nosuidNodev, workspaceDir, fmt.Sprintf("mode=700,uid=%d,gid=%d,size=%d,nr_inodes=%d", uid, uid, l.DiskBytes, l.DiskInodes)},
	}
}

// tmpfs is a file system in memory.
type tmpfs struct {
	flags        int
	target, data string
}

func (m tmpfs) mount() *configs.Mount {
	return &configs.Mount{Source: "tmpfs", Destination: m.target, Device: "tmpfs", Flags: m.flags, Data: m.data}
}

// deviceMounts bind the device nodes, since a user namespace can't make any.
func deviceMounts(dir string) []*configs.Mount {
	var list []*configs.Mount
	for _, d := range deviceNodes {
		list = append(list, &configs.Mount{
			Source: filepath.Join(dir, d.name), Destination: "/dev/" + d.name, Device: "bind",
			Flags: unix.MS_BIND | unix.MS_NOSUID | unix.MS_NOEXEC,
		})
	}
	return list
}

// rlimit is a resource limit.
type rlimit struct{ kind, soft, hard uint64 }

// rlimits are what a kernel's process sets for itself before it is one. None is
// raised above the daemon's own, which only a privileged process may do. There is
// none on address space or processes, which OpenBLAS can't live with; the cgroup
// bounds those.
func rlimits(l sandbox.Limits) []rlimit {
	var list []rlimit
	set := func(kind int, soft, hard uint64) {
		var own unix.Rlimit
		if err := unix.Getrlimit(kind, &own); err == nil && own.Max < hard {
			hard = own.Max
		}
		list = append(list, rlimit{uint64(kind), min(soft, hard), hard})
	}
	set(unix.RLIMIT_NOFILE, l.OpenFiles, l.OpenFiles)
	// 1, not 0: a core_pattern that is a pipe ignores 0, and 1 also makes the
	// kernel drop piped dumps (fs/coredump.c).
	set(unix.RLIMIT_CORE, 1, 1)
	set(unix.RLIMIT_FSIZE, uint64(l.DiskBytes), uint64(l.DiskBytes))
	set(unix.RLIMIT_STACK, stackBytes, unix.RLIM_INFINITY)
	set(unix.RLIMIT_MEMLOCK, 0, 0)
	set(unix.RLIMIT_MSGQUEUE, 0, 0)
	set(unix.RLIMIT_SIGPENDING, pendingSigs, pendingSigs)
	set(unix.RLIMIT_NICE, 0, 0)
	set(unix.RLIMIT_RTPRIO, 0, 0)
	return list
}
