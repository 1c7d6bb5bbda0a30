package host

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const cgroupDir = "/sys/fs/cgroup"

// hierarchies are the host's control groups.
type hierarchies struct {
	v2, hybrid  bool
	controllers []string
	readonly    []string // mount points that can't be written to
}

func (p *probe) cgroups() (h hierarchies) {
	for _, m := range p.mounts() {
		inside := m.point == cgroupDir || strings.HasPrefix(m.point, cgroupDir+"/")
		if !inside || m.fsType != "cgroup" && m.fsType != "cgroup2" {
			continue
		}
		if m.options[0] == "ro" || m.has("ro") {
			h.readonly = append(h.readonly, m.point)
		}
		switch {
		case m.fsType == "cgroup":
			h.controllers = append(h.controllers, m.options...)
		case m.point == cgroupDir:
			h.v2 = true
		case m.point == path.Join(cgroupDir, "unified"):
			h.hybrid = true
		}
	}
	if h.v2 {
		text, _ := p.text(path.Join(cgroupDir, "cgroup.controllers"))
		h.controllers = strings.Fields(text)
	}
	return h
}

func (h hierarchies) kind() string {
	switch {
	case h.v2:
		return "cgroup v2"
	case h.hybrid:
		return "cgroup v1 with an empty v2 tree beside it"
	}
	return "cgroup v1"
}

func checkCgroups(p *probe) verdict {
	h := p.cgroups()
	if len(h.controllers) == 0 {
		return missing("mount cgroup v2 at "+cgroupDir, "no control groups with controllers are mounted below %s", cgroupDir)
	}
	needed := []string{"memory", "pids", "cpu"}
	if !h.v2 {
		// v2 does by itself what these are separate controllers for in v1.
		needed = append(needed, "cpuacct", "devices", "freezer")
	}
	var lacking []string
	for _, c := range needed {
		if !slices.Contains(h.controllers, c) {
			lacking = append(lacking, c)
		}
	}
	if len(lacking) > 0 {
		return missing("boot without cgroup_disable=, and with cgroup_enable=memory where the kernel wants that; in a container, pass the controllers on",
			"%s without the controllers %s", h.kind(), strings.Join(lacking, ", "))
	}
	if len(h.readonly) > 0 {
		return missing("mount them writable; a container needs a cgroup namespace of its own, or the host's tree",
			"%s, but %s can only be read", h.kind(), strings.Join(h.readonly, ", "))
	}
	note := ""
	if !slices.Contains(h.controllers, "cpuset") {
		note = "; no cpuset, so that sessions can't be kept to certain CPUs"
	}
	return fine("%s with %s%s", h.kind(), strings.Join(needed, ", "), note)
}

// checkSwap: a session's memory that gets to the disk is neither bounded by
// its limit nor gone with it.
func checkSwap(p *probe) verdict {
	var on []string
	for i, row := range p.rows("/proc/swaps") {
		if i > 0 { // the first row is the head
			on = append(on, row[0])
		}
	}
	if len(on) == 0 {
		return fine("none is on")
	}
	h := p.cgroups()
	what := fmt.Sprintf("%s on", strings.Join(on, ", "))
	if h.v2 {
		// The root of the tree has no limits; any group below it shows the file.
		for _, name := range p.names(cgroupDir) {
			if p.exists(path.Join(cgroupDir, name, "memory.swap.max")) {
				return fine("%s, and sessions are kept from using it", what)
			}
		}
		if p.exists(path.Join(cgroupDir, "memory.swap.max")) {
			return fine("%s, and sessions are kept from using it", what)
		}
	} else if p.exists(path.Join(cgroupDir, "memory/memory.memsw.limit_in_bytes")) {
		return fine("%s, and sessions are kept from using it", what)
	}
	return weak("swapoff -a, or boot with swapaccount=1",
		"%s without accounting: sessions use it beyond their memory limit, and what they held stays on the disk", what)
}
