//go:build weaken

package container

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/cgroups"
	devices "github.com/opencontainers/cgroups/devices/config"
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"tcid/internal/weaken"
	"tcid/sandbox"
	"tcid/sandbox/seccomp"
)

func without(what string) bool { return weaken.Without(what) }

// filter allows everything when it is left out: tcid-init wants some program.
func filter() (seccomp.Filter, error) {
	if without("filter") {
		all := []seccomp.Instruction{{Code: unix.BPF_RET | unix.BPF_K, K: seccomp.Allow}}
		return seccomp.Filter{Zygote: all, Rest: all}, nil
	}
	return seccomp.Assemble()
}

//go:embed init/fork-faults.so
var forkLibrary []byte

// faultsEnv is a number: which steps of a forked kernel's start are left out, as
// init/fork.c counts them.
const faultsEnv = "TCID_FAULTS"

func faults() uint32 {
	n, err := strconv.ParseUint(os.Getenv(faultsEnv), 0, 32)
	if err != nil && os.Getenv(faultsEnv) != "" {
		panic(fmt.Sprintf("%s: %v", faultsEnv, err))
	}
	return uint32(n)
}

func finalConfig(c *configs.Config) *configs.Config {
	if without("caps") {
		c.Capabilities = allCapabilities()
	}
	if without("privs") {
		c.NoNewPrivileges = false
	}
	if without("readonly") {
		c.Readonlyfs = false
	}
	if without("masks") {
		c.MaskPaths, c.ReadonlyPaths = nil, nil
	}
	if without("oom") {
		c.OomScoreAdj = nil
	}
	for _, m := range c.Mounts {
		if without("hidepid") && m.Device == "proc" {
			m.Data = ""
		}
		if without("disk") && m.Device == "tmpfs" && m.Destination != "/dev" {
			m.Data = strings.Split(m.Data, "size=")[0] + "size=64g"
		}
	}
	c.Namespaces = slices.DeleteFunc(c.Namespaces, func(n configs.Namespace) bool {
		return without("network") && n.Type == configs.NEWNET || without("ipc") && n.Type == configs.NEWIPC
	})
	if without("network") {
		c.Networks = nil
	}
	weakenNamespaces(c)
	weakenMounts(c)
	weakenResources(c.Cgroups.Resources)
	return c
}

// shared is the user namespace that all sessions join without "uids". It stays
// open, since the session that it is of may be the first to end.
var shared struct {
	sync.Mutex
	userns *os.File
}

func weakenNamespaces(c *configs.Config) {
	user := &c.Namespaces[slices.IndexFunc(c.Namespaces, func(n configs.Namespace) bool { return n.Type == configs.NEWUSER })]
	if without("uids") {
		shared.Lock()
		defer shared.Unlock()
		if shared.userns == nil {
			var err error
			if shared.userns, err = os.Open(user.Path); err != nil {
				panic(err)
			}
		}
		user.Path = procPath(os.Getpid(), "fd/"+strconv.Itoa(int(shared.userns.Fd())))
	}
	if without("nested") {
		raise := exec.Command("nsenter", "--user="+user.Path, "sh", "-c", "echo 64 >/proc/sys/user/max_user_namespaces")
		if out, err := raise.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("allow nested namespaces: %v: %s", err, out))
		}
	}
	c.Namespaces = slices.DeleteFunc(c.Namespaces, func(n configs.Namespace) bool {
		return without("pidns") && n.Type == configs.NEWPID || without("uts") && n.Type == configs.NEWUTS ||
			without("cgroupns") && n.Type == configs.NEWCGROUP
	})
	if without("uts") {
		c.Hostname = ""
	}
}

// take keeps the block of ids that it hands out for the next session too.
func take(free []uint32) (base uint32, rest []uint32) {
	if without("uids") {
		return free[0], free
	}
	return free[0], free[1:]
}

func weakenMounts(c *configs.Config) {
	bind := func(source, dest string) *configs.Mount {
		return &configs.Mount{Source: source, Destination: dest, Device: "bind", Flags: unix.MS_BIND | unix.MS_REC}
	}
	stateDir := filepath.Dir(filepath.Dir(c.Rootfs))
	for i, m := range c.Mounts {
		if without("nosuid") {
			m.Flags &^= unix.MS_NOSUID
		}
		switch {
		// proc can only be mounted by those who own its namespace of processes.
		case without("pidns") && m.Device == "proc":
			c.Mounts[i] = bind("/proc", "/proc")
			c.MaskPaths, c.ReadonlyPaths = nil, nil
		case without("terminals") && m.Device == "devpts":
			m.Data = strings.Replace(m.Data, fmt.Sprintf("max=%d", maxTerminals), "max=4096", 1)
		case without("devices") && m.Destination == "/dev":
			c.Mounts[i] = bind("/dev", "/dev")
			c.Cgroups.Resources.Devices = []*devices.Rule{{
				Type: devices.WildcardDevice, Major: devices.Wildcard, Minor: devices.Wildcard, Permissions: "rwm", Allow: true,
			}}
		case without("tmpfs") && slices.Contains([]string{"/tmp", "/dev/shm", workspaceDir}, m.Destination):
			dir := filepath.Join(stateDir, "weak", m.Destination)
			openDir(dir)
			c.Mounts[i] = bind(dir, m.Destination)
		}
	}
	if without("devices") {
		c.Mounts = slices.DeleteFunc(c.Mounts, func(m *configs.Mount) bool {
			return strings.HasPrefix(m.Destination, "/dev/")
		})
	}
	if without("sysfs") {
		c.Mounts = append(c.Mounts, &configs.Mount{
			Source: "sysfs", Destination: "/sys", Device: "sysfs", Flags: noexecToo | unix.MS_RDONLY,
		})
	}
}

// openDir makes a directory that everybody may write.
func openDir(path string) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		panic(err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		panic(err)
	}
}

// mountRoot lets the root be written without "readonly"; without "overlay" it
// is the image itself. It runs in the data directory.
func mountRoot(target, options string) error {
	layers := strings.Split(strings.TrimPrefix(options, "lowerdir="), ":")
	image := layers[len(layers)-1]
	switch {
	case without("overlay"):
		if err := unix.Mount(image, target, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		return unix.Mount(filepath.Join(layers[0], supportDir), filepath.Join(target, supportDir), "", unix.MS_BIND, "")
	case without("readonly"):
		weak := filepath.Join(filepath.Dir(filepath.Dir(target)), "weak", filepath.Base(target))
		for _, dir := range []string{"upper", "upper/etc", "upper/usr/lib", "upper" + supportDir, "work"} {
			openDir(filepath.Join(weak, dir))
		}
		options += ",upperdir=" + filepath.Join(weak, "upper") + ",workdir=" + filepath.Join(weak, "work")
		return unix.Mount("overlay", target, "overlay", 0, options)
	}
	return unix.Mount("overlay", target, "overlay", rootFlags, options)
}

func weakenResources(r *cgroups.Resources) {
	if without("memory") {
		r.Memory, r.MemorySwap = 0, 0
	}
	if without("pids") {
		r.PidsLimit = nil
	}
	if without("cpu") {
		r.CpuQuota = 0
	}
}

func finalKernel(p *libcontainer.Process) *libcontainer.Process {
	if without("caps") {
		p.Capabilities = allCapabilities()
	}
	if without("root") {
		p.UID, p.GID = 0, 0
	}
	if without("environment") {
		p.Env = append(p.Env, os.Environ()...)
	}
	if without("descriptors") {
		root, err := os.Open("/")
		if err != nil {
			panic(err)
		}
		p.ExtraFiles = append(p.ExtraFiles, root)
	}
	if without("filter") && without("privs") {
		// tcid-init forbids new privileges as well, in order to load the filter.
		p.Args = p.Args[slices.Index(p.Args, "--")+1:]
		return p
	}
	if without("rlimits") {
		// They lie between the filter's two parts and "--".
		p.Args = append(slices.Clone(p.Args[:4]), p.Args[slices.Index(p.Args, "--"):]...)
	}
	return p
}

func allCapabilities() *configs.Capabilities {
	all := []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETPCAP", "CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_IPC_LOCK",
	}
	return &configs.Capabilities{Bounding: all, Effective: all, Permitted: all, Inheritable: all, Ambient: all}
}

func boundsTCP() bool { return !without("memory") }

// usageOf looks at the kernel's process alone without "usage", as it is now.
func usageOf(x *box) (u sandbox.Usage, err error) {
	if !without("usage") {
		return x.leaf.usage()
	}
	pids, err := x.leaf.others(x.initPid)
	if err != nil || len(pids) == 0 {
		return u, err
	}
	proc := filepath.Join("/proc", strconv.Itoa(slices.Min(pids)))
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return u, nil // it has ended meanwhile
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	field := strings.Fields(rest) // from the third one of proc(5) on
	number := func(n int) int64 { v, _ := strconv.ParseInt(field[n-3], 10, 64); return v }
	const tick = 10 * time.Millisecond
	one := int64(1)
	u.CPUUser, u.CPUSystem = time.Duration(number(14))*tick, time.Duration(number(15))*tick
	u.MemoryBytes = number(24) * int64(os.Getpagesize())
	u.MemoryPeakBytes, u.PidsPeak = u.MemoryBytes, &one
	return u, nil
}

// endOthers lets what an old kernel started run on without "leftovers".
func endOthers(ctx context.Context, x *box) error {
	if without("leftovers") {
		return nil
	}
	return x.leaf.killAll(ctx, x.initPid)
}
