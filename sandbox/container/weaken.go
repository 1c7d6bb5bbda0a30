//go:build weaken

package container

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"tcid/sandbox/seccomp"
)

// weakenEnv names the safeguards that the tests' program leaves out, separated
// by spaces.
const weakenEnv = "TCID_WEAKEN"

// weak are the names that are known.
var weak = []string{
	"filter", "caps", "root", "masks", "hidepid", "network", "ipc", "memory", "pids", "cpu", "disk", "rlimits", "privs", "oom",
}

func without(what string) bool { return slices.Contains(strings.Fields(os.Getenv(weakenEnv)), what) }

func init() {
	for _, w := range strings.Fields(os.Getenv(weakenEnv)) {
		if !slices.Contains(weak, w) {
			panic(fmt.Sprintf("%s: %q is none of %q", weakenEnv, w, weak))
		}
	}
}

// filter allows everything when it is left out: tcid-init wants some program.
func filter() ([]seccomp.Instruction, error) {
	if without("filter") {
		return []seccomp.Instruction{{Code: unix.BPF_RET | unix.BPF_K, K: seccomp.Allow}}, nil
	}
	return seccomp.Program()
}

func finalConfig(c *configs.Config) *configs.Config {
	if without("caps") {
		c.Capabilities = allCapabilities()
	}
	if without("privs") {
		c.NoNewPrivileges = false
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
	weakenResources(c.Cgroups.Resources)
	return c
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
	if without("rlimits") {
		// What lies between the filter and "--".
		end := slices.Index(p.Args, "--")
		p.Args = append(slices.Clone(p.Args[:3]), append([]string{fmt.Sprintf("%d:1048576:1048576", unix.RLIMIT_NOFILE)}, p.Args[end:]...)...)
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
