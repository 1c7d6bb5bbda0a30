package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// emptyForever are directories below /proc that exist to be mounted on: they
// hide nothing of it.
var emptyForever = []string{"/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/proc/openprom", "/proc/xen"}

// checkProcMounts: the kernel refuses a fresh /proc to a user namespace when
// that would show what mounts over every /proc that is seen here hide.
func checkProcMounts(p *probe) verdict {
	all := p.mounts()
	var over []string
	whole, procs := "", 0
	for _, m := range all {
		if m.fsType != "proc" || !m.fromItsRoot {
			continue
		}
		procs++
		var hidden []string
		for _, o := range all {
			if o.parent == m.id && !slices.Contains(emptyForever, "/proc"+strings.TrimPrefix(o.point, m.point)) {
				hidden = append(hidden, o.point)
			}
		}
		if m.options[0] == "ro" {
			if m.point == "/proc" {
				return missing("a container around the daemon must leave /proc writable; else mount -o remount,rw /proc",
					"/proc is read-only, so that the daemon can't map ids")
			}
			hidden = append(hidden, m.point+" itself, which is read-only")
		}
		if len(hidden) == 0 {
			whole = m.point
		}
		over = append(over, hidden...)
	}
	if whole != "" {
		return fine("none at %s", whole)
	}
	if procs == 0 {
		return missing("mount -t proc proc /proc", "no whole proc file system is mounted")
	}
	if more := len(over) - 5; more > 0 {
		over = append(over[:5], fmt.Sprintf("and %d more", more))
	}
	return missing("a container around the daemon must leave /proc unmasked, or mount an unmasked one somewhere else as well; else umount them",
		"%s: the kernel then lets no sandbox have a /proc of its own", strings.Join(over, ", "))
}

// checkStateDir: roots of sandboxes are put together there, by a process that
// is nobody on the host.
func checkStateDir(p *probe) verdict {
	for dir := p.StateDir; ; dir = filepath.Dir(dir) {
		info, err := os.Lstat(p.path(dir))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// It is made with the right mode.
		case err != nil:
			return missing("choose another --state-dir", "%s: %v", dir, err)
		case info.Mode()&fs.ModeSymlink != 0:
			return missing("name the real path as --state-dir", "%s leads through the symbolic link %s", p.StateDir, dir)
		case info.Mode().Perm()&0o001 == 0:
			return missing("choose a --state-dir below /run, or chmod o+x "+dir,
				"sandboxes can't reach %s, since %s has mode %#o", p.StateDir, dir, info.Mode().Perm())
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return p.owned(p.StateDir, "--state-dir")
}

func checkDataDir(p *probe) verdict { return p.owned(p.DataDir, "--data-dir") }

// owned judges who may change what lies in a directory: whoever can, can
// change what the daemon runs as root, or what sessions are made from.
func (p *probe) owned(dir, flag string) verdict {
	info, err := os.Stat(p.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return fine("%s does not exist yet", dir)
	}
	if err != nil {
		return missing("choose another "+flag, "%s: %v", dir, err)
	}
	if !info.IsDir() {
		return missing("choose another "+flag, "%s is not a directory", dir)
	}
	mode := info.Mode().Perm()
	if uid := ownerOf(info); uid != 0 {
		return missing("chown root:root "+dir, "%s belongs to the user id %d", dir, uid)
	}
	if mode&0o022 != 0 {
		return missing("chmod go-w "+dir, "%s has mode %#o: others than root can change what is in it", dir, mode)
	}
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		info, err := os.Stat(p.path(up))
		switch {
		case err != nil:
			p.note(up, err)
		case ownerOf(info) != 0:
			return weak("choose a "+flag+" that lies in root's directories only", "%s lies in %s, whose owner, the user id %d, can put another in its place", dir, up, ownerOf(info))
		case info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0:
			return weak("chmod go-w "+up, "%s lies in %s, whose mode %#o lets others put another in its place", dir, up, info.Mode().Perm())
		}
		if up == filepath.Dir(up) {
			return fine("%s has mode %#o", dir, mode)
		}
	}
}

func checkSecrets(p *probe) verdict {
	dir := filepath.Join(p.DataDir, "secrets")
	info, err := os.Lstat(p.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return fine("%s does not exist yet", dir)
	}
	if err != nil {
		p.note(dir, err)
		return fine("not looked at")
	}
	if mode := info.Mode().Perm(); !info.IsDir() || mode&0o077 != 0 || ownerOf(info) != 0 {
		return weak("chown root:root "+dir+" && chmod 700 "+dir,
			"%s has mode %#o and belongs to the user id %d: it should be a directory that only root can enter", dir, mode, ownerOf(info))
	}
	return fine("%s has mode 0700", dir)
}

func ownerOf(info fs.FileInfo) uint32 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Uid
	}
	return 0
}

// littleMemory is what the daemon leaves to the host, and once more that for a
// session.
const littleMemory = 1 << 30

func checkMemory(p *probe) verdict {
	info := p.values("/proc/meminfo")
	size := func(name string) int64 {
		n, _ := strconv.ParseInt(strings.TrimSuffix(info[name], " kB"), 10, 64)
		return n << 10
	}
	total, free := size("MemTotal"), size("MemAvailable")
	if total > 0 && free < littleMemory {
		return weak("end other programs, or add memory", "%d of %d MiB are free: hardly a session can start", free>>20, total>>20)
	}
	return fine("%d of %d MiB are free", free>>20, total>>20)
}

const (
	pidsOfSession = 128  // unless it asks for more
	fewPids       = 8192 // half of which are for sessions
)

func checkProcessIDs(p *probe) verdict {
	most, there := p.number("/proc/sys/kernel/pid_max")
	if threads, ok := p.number("/proc/sys/kernel/threads-max"); ok && (!there || threads < most) {
		most, there = threads, true
	}
	if !there {
		return fine("the kernel doesn't tell")
	}
	what := fmt.Sprintf("%d; sessions get half, so that %d can use all of theirs at once", most, most/2/pidsOfSession)
	if most < fewPids {
		return weak("sysctl kernel.pid_max=4194304 kernel.threads-max=200000", "%s", what)
	}
	return fine("%s", what)
}
