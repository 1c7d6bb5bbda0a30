package host

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The oldest kernel, for cgroup v2 and hybrid ones alike: openat2 came with
// 5.6, pidfds that poll with 5.10.
const oldestMajor, oldestMinor = 5, 10

func checkKernelVersion(p *probe) verdict {
	release, _ := p.text("/proc/sys/kernel/osrelease")
	major, minor, ok := parseRelease(release)
	if !ok {
		return missing("mount /proc", "the release %q says nothing", release)
	}
	at := func(wantMajor, wantMinor int) bool {
		return major > wantMajor || major == wantMajor && minor >= wantMinor
	}
	if !at(oldestMajor, oldestMinor) {
		return missing("install Linux 5.10 or newer", "Linux %s is older than %d.%d", release, oldestMajor, oldestMinor)
	}
	note := ""
	if at(6, 17) && !at(7, 2) && p.cgroups().v2 {
		note = "; 6.17 up to 7.2 have a bug with the device rules of cgroup v2, which the daemon works around"
	}
	return fine("Linux %s%s", release, note)
}

// parseRelease reads the first two numbers of such as 6.18.44-fc-v595.
func parseRelease(release string) (major, minor int, ok bool) {
	first, rest, _ := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(rest[:end])
	return major, minor, err1 == nil && err2 == nil
}

func checkSystemCalls(p *probe) verdict {
	refused := p.System.Calls()
	if len(refused) == 0 {
		return fine("openat2, pidfd_open, pidfd_send_signal and clone3 answer")
	}
	var told []string
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		told = append(told, fmt.Sprintf("%s: %v", name, refused[name]))
	}
	return missing("where the kernel is new enough, a filter around the daemon refuses them: a container needs one that allows them",
		"refused are %s", strings.Join(told, ", "))
}

func checkSeccomp(p *probe) verdict {
	const mend = "boot a kernel with CONFIG_SECCOMP_FILTER"
	actions, there := p.text("/proc/sys/kernel/seccomp/actions_avail")
	if !there {
		return missing(mend, "the kernel has no seccomp filters")
	}
	have := strings.Fields(actions)
	for _, needed := range []string{"errno", "kill_process", "allow"} {
		if !slices.Contains(have, needed) {
			return missing(mend, "the kernel's filters have no action %s, only %s", needed, actions)
		}
	}
	return fine("actions: %s", actions)
}

func checkUserNamespaces(p *probe) verdict {
	const file = "/proc/sys/user/max_user_namespaces"
	if !p.exists("/proc/self/ns/user") {
		return missing("boot a kernel with CONFIG_USER_NS", "the kernel has no user namespaces")
	}
	most, there := p.number(file)
	if !there {
		return missing("mount /proc with its sys directory", "%s tells nothing", file)
	}
	if most == 0 {
		return missing("sysctl user.max_user_namespaces=10000", "user.max_user_namespaces is 0")
	}
	if most < fewNamespaces {
		return weak("sysctl user.max_user_namespaces=10000", "user.max_user_namespaces is only %d", most)
	}
	note := ""
	if v, _ := p.number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"); v != 0 {
		note = "; AppArmor restricts those of unprivileged processes, which the daemon's are not"
	}
	return fine("up to %d for each user%s", most, note)
}

// fewNamespaces is what one session can do with: the kernel charges its
// namespaces to the first id of its own block.
const fewNamespaces = 8

func checkNamespaces(p *probe) verdict {
	least, of := int64(-1), ""
	for _, kind := range []string{"mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		if !p.exists("/proc/self/ns/" + kind) {
			return missing("boot a kernel that has them", "the kernel has no %s namespaces", kind)
		}
		most, there := p.number("/proc/sys/user/max_" + kind + "_namespaces")
		if there && (least < 0 || most < least) {
			least, of = most, kind
		}
	}
	mend := "sysctl user.max_" + of + "_namespaces=10000"
	switch {
	case least == 0:
		return missing(mend, "user.max_%s_namespaces is 0", of)
	case least > 0 && least < fewNamespaces:
		return weak(mend, "user.max_%s_namespaces is only %d", of, least)
	case least < 0:
		return fine("mnt, pid, net, ipc, uts and cgroup, without a limit")
	}
	return fine("mnt, pid, net, ipc, uts and cgroup, at least %d for each user", least)
}

func checkOverlay(p *probe) verdict {
	for _, row := range p.rows("/proc/filesystems") {
		if row[len(row)-1] == "overlay" {
			return fine("the kernel has it")
		}
	}
	release, _ := p.text("/proc/sys/kernel/osrelease")
	for _, name := range p.names("/lib/modules/" + release + "/kernel/fs/overlayfs") {
		if !strings.HasPrefix(name, "overlay.ko") {
			continue
		}
		if off, _ := p.number("/proc/sys/kernel/modules_disabled"); off != 0 {
			return missing("load the module overlay at boot, before kernel.modules_disabled is set",
				"it is a module that is not loaded, and kernel.modules_disabled is %d", off)
		}
		return fine("a module that the first mount loads")
	}
	return missing("modprobe overlay, or boot a kernel with CONFIG_OVERLAY_FS", "the kernel has no overlay file system")
}
