package host

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// checkCorePattern: a program that the kernel starts for a crash runs as the
// host's root, with the crashed process's memory as its input.
func checkCorePattern(p *probe) verdict {
	pattern, there := p.text("/proc/sys/kernel/core_pattern")
	switch {
	case !there:
		return fine("the kernel writes none")
	case strings.HasPrefix(pattern, "|"):
		return weak("sysctl kernel.core_pattern=core",
			"kernel.core_pattern starts %q as the host's root for every crash; sessions are kept from it only by their limit RLIMIT_CORE=1", pattern)
	case strings.HasPrefix(pattern, "@"):
		return weak("sysctl kernel.core_pattern=core",
			"kernel.core_pattern sends dumps to the socket %q; sessions are kept from it only by their limit RLIMIT_CORE=1", pattern)
	}
	return fine("kernel.core_pattern is %q, no program", pattern)
}

func checkBPF(p *probe) verdict {
	disabled, there := p.number("/proc/sys/kernel/unprivileged_bpf_disabled")
	switch {
	case !there:
		return fine("the kernel has no such call for unprivileged processes")
	case disabled == 0:
		return weak("sysctl kernel.unprivileged_bpf_disabled=2",
			"kernel.unprivileged_bpf_disabled is 0: only the filter keeps sessions from the kernel's BPF verifier")
	}
	return fine("kernel.unprivileged_bpf_disabled is %d", disabled)
}

func checkIOUring(p *probe) verdict {
	disabled, there := p.number("/proc/sys/kernel/io_uring_disabled")
	switch {
	case !there:
		return fine("the kernel can't switch it off for everybody; the filter refuses it to sessions")
	case disabled != 2:
		return weak("sysctl kernel.io_uring_disabled=2, unless other programs need it",
			"kernel.io_uring_disabled is %d: only the filter keeps sessions from it", disabled)
	}
	return fine("kernel.io_uring_disabled is 2")
}

// riskyModules have had holes that local users became root by, and no session
// needs them. A name that ends in '_' is a prefix.
var riskyModules = []string{"algif_", "af_alg", "rxrpc", "esp4", "esp6", "vsock", "vmw_vsock_", "vhost_vsock", "n_hdlc"}

func checkModules(p *probe) verdict {
	var loaded []string
	for _, row := range p.rows("/proc/modules") {
		if slices.ContainsFunc(riskyModules, func(risky string) bool {
			return row[0] == risky || strings.HasSuffix(risky, "_") && strings.HasPrefix(row[0], risky)
		}) {
			loaded = append(loaded, row[0])
		}
	}
	if len(loaded) == 0 {
		return fine("none that is known for holes is loaded")
	}
	slices.Sort(loaded)
	return weak("unload them and forbid them in /etc/modprobe.d (install NAME /bin/false), unless other programs need them",
		"loaded are %s, which have been ways to become root; only the filter keeps sessions from their sockets", strings.Join(loaded, ", "))
}

const cpuDir = "/sys/devices/system/cpu"

func checkVulnerabilities(p *probe) verdict {
	dir := path.Join(cpuDir, "vulnerabilities")
	names := p.names(dir)
	if len(names) == 0 {
		return fine("the kernel doesn't tell")
	}
	var open []string
	for _, name := range names {
		if state, _ := p.text(path.Join(dir, name)); strings.HasPrefix(state, "Vulnerable") {
			open = append(open, name)
		}
	}
	if len(open) == 0 {
		return fine("none of %d is open", len(names))
	}
	return weak("update kernel and microcode, boot without mitigations=off; in a virtual machine the host below must mend it",
		"open are %s: sessions may read memory that is not theirs", strings.Join(open, ", "))
}

func checkSMT(p *probe) verdict {
	active, there := p.number(path.Join(cpuDir, "smt/active"))
	if there && active != 0 {
		return weak("boot with nosmt, or echo off > "+cpuDir+"/smt/control, where sessions don't trust each other",
			"on: sessions on two threads of one core can learn about each other through its caches")
	}
	if !there {
		return fine("the CPU has none, or the kernel doesn't tell")
	}
	return fine("off")
}

func checkKSM(p *probe) verdict {
	const file = "/sys/kernel/mm/ksm/run"
	run, there := p.number(file)
	if there && run == 1 {
		return weak("echo 2 > "+file,
			"on: by the time that writing takes, a session can learn what others have in memory")
	}
	return fine("off")
}

func checkPtrace(p *probe) verdict {
	scope, there := p.number("/proc/sys/kernel/yama/ptrace_scope")
	if !there {
		return fine("the kernel has no Yama; the filter refuses ptrace to sessions")
	}
	return fine("kernel.yama.ptrace_scope is %d; the filter refuses ptrace to sessions", scope)
}

func checkKeys(p *probe) verdict {
	most, there := p.number("/proc/sys/kernel/keys/maxkeys")
	if !there {
		return fine("the kernel has none")
	}
	root, _ := p.number("/proc/sys/kernel/keys/root_maxkeys")
	return fine("%d for each user, %d for root; sessions can't make any", most, root)
}

func checkInotify(p *probe) verdict {
	var told []string
	for _, name := range []string{"max_user_instances", "max_user_watches"} {
		if n, there := p.number("/proc/sys/fs/inotify/" + name); there {
			told = append(told, fmt.Sprintf("%s %d", name, n))
		}
	}
	if len(told) == 0 {
		return fine("the kernel has none")
	}
	return fine("%s; sessions can't use it", strings.Join(told, ", "))
}
