package host

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func checkRoot(p *probe) verdict {
	// real, effective, saved, file system
	uids := strings.Fields(p.values("/proc/self/status")["Uid"])
	if len(uids) < 2 {
		return missing("mount /proc", "/proc/self/status doesn't tell the user")
	}
	if uids[1] != "0" {
		return missing("run the daemon as root: it makes namespaces, mounts and control groups", "the user id is %s", uids[1])
	}
	return fine("the user id is 0")
}

type capability struct {
	bit  uint
	name string
}

// neededCapabilities are those without which the daemon fails, found by taking
// them away one by one: sandboxes have no others' networks, so that NET_ADMIN is
// not among them. MKNOD is for their device nodes, FOWNER for the files of
// sessions. usefulCapabilities are used where they are there.
var (
	neededCapabilities = []capability{
		{unix.CAP_SYS_ADMIN, "SYS_ADMIN"}, {unix.CAP_SETUID, "SETUID"}, {unix.CAP_SETGID, "SETGID"},
		{unix.CAP_CHOWN, "CHOWN"}, {unix.CAP_DAC_OVERRIDE, "DAC_OVERRIDE"}, {unix.CAP_FOWNER, "FOWNER"},
		{unix.CAP_KILL, "KILL"}, {unix.CAP_MKNOD, "MKNOD"}, {unix.CAP_SYS_CHROOT, "SYS_CHROOT"}, {unix.CAP_SYS_PTRACE, "SYS_PTRACE"},
	}
	usefulCapabilities = []capability{{unix.CAP_SYS_RESOURCE, "SYS_RESOURCE"}}
)

func checkCapabilities(p *probe) verdict {
	text := p.values("/proc/self/status")["CapEff"]
	have, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return missing("mount /proc", "/proc/self/status doesn't tell the capabilities")
	}
	without := func(all []capability) (names []string) {
		for _, c := range all {
			if have&(1<<c.bit) == 0 {
				names = append(names, "CAP_"+c.name)
			}
		}
		return names
	}
	if names := without(neededCapabilities); len(names) > 0 {
		return missing("run the daemon as root with these capabilities; a container must be given them",
			"without %s", strings.Join(names, ", "))
	}
	if len(without(usefulCapabilities)) > 0 {
		return fine("all that are needed; without CAP_SYS_RESOURCE sessions can't get higher resource limits than the daemon has")
	}
	return fine("all that are needed")
}

// Host ids that sandboxes take their blocks from: systemd's range for
// containers. sandbox/container hands them out and skips what is taken.
const (
	firstID   = 524288
	lastID    = 1879048191
	blockSize = 65536
	blocks    = (lastID + 1 - firstID) / blockSize
	fewBlocks = 256 // what one daemon takes at a time
)

// checkIDs counts the blocks that this process can map and that no account or
// subordinate range lies in.
func checkIDs(p *probe) verdict {
	var usable [2][blocks]bool
	for i, file := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		for _, row := range p.rows(file) {
			if first, count, ok := span(row, 0, 2); ok {
				for b := range blocks {
					base := uint64(firstID + b*blockSize)
					usable[i][b] = usable[i][b] || base >= first && base+blockSize <= first+count
				}
			}
		}
	}
	mapped := 0
	for b := range blocks {
		if usable[0][b] && usable[1][b] {
			mapped++
		}
	}
	if mapped == 0 {
		return missing("run the daemon outside of user namespaces, or map the host ids 524288 to 1879048191 into this one",
			"the user namespace around the daemon has none of the ids %d to %d", firstID, lastID)
	}
	free, taken := mapped, ""
	for _, file := range []struct {
		name   string
		id     int
		counts int // the field with the count; 0: there is none
	}{{"/etc/passwd", 2, 0}, {"/etc/group", 2, 0}, {"/etc/subuid", 1, 2}, {"/etc/subgid", 1, 2}} {
		text, _ := p.text(file.name)
		for line := range strings.Lines(text) {
			first, count, ok := span(strings.Split(strings.TrimSpace(line), ":"), file.id, file.counts)
			if !ok || count == 0 || first+count <= firstID || first > lastID {
				continue
			}
			if !strings.Contains(taken, file.name) {
				taken += ", " + file.name
			}
			for b := (max(first, firstID) - firstID) / blockSize; b <= (min(first+count-1, lastID)-firstID)/blockSize; b++ {
				if usable[0][b] && usable[1][b] {
					usable[0][b] = false
					free--
				}
			}
		}
	}
	what := fmt.Sprintf("%d of %d blocks of %d ids are free", free, blocks, blockSize)
	if taken != "" {
		what += "; sessions don't get those of" + taken[1:]
	}
	const mend = "leave ids between 524288 and 1879048191 to sessions: move accounts and subordinate ranges elsewhere"
	switch {
	case free == 0:
		return missing(mend, "%s", what)
	case free < fewBlocks:
		return weak(mend, "%s, one for each session", what)
	}
	return fine("%s", what)
}

// span reads a range of ids: its first one, and its count where there is one.
func span(fields []string, first, count int) (from, n uint64, ok bool) {
	if len(fields) <= max(first, count) {
		return 0, 0, false
	}
	from, err := strconv.ParseUint(fields[first], 10, 32)
	if err != nil || count == 0 {
		return from, 1, err == nil
	}
	n, err = strconv.ParseUint(fields[count], 10, 32)
	return from, n, err == nil
}
