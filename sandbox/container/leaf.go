package container

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"tcid/sandbox"
)

// tcpBytes bounds a session's TCP buffers, on cgroup v1.
const tcpBytes = 16 << 20

// leaf is the cgroup that one use of a container is charged to: the container's
// own, or one beside it. It is made and read here and not with the cgroups
// library, which takes longer for that than a kernel takes to start.
type leaf struct {
	group  *group            // the container's
	paths  map[string]string // directories by controller; "" on v2
	own    []string          // those that are this leaf's alone
	meter  *meter            // of the leaf's own files
	shared *meter            // of those that the container's other uses have as well
	v2     bool
}

// accounted are the controllers, of v1, that a container's later uses have a cgroup
// of their own for. All else that binds them binds the container, which has one
// use at a time: processor time is told as a difference anyhow.
var accounted = []string{"memory", "pids"}

// ownLeaf is the container's own cgroup.
func (c *container) ownLeaf() *leaf {
	return &leaf{group: c.group, paths: c.group.GetPaths(), v2: c.group.v2, meter: c.meter, shared: c.meter}
}

// newLeaf makes a cgroup beside the container's.
func (c *container) newLeaf(name string, limits sandbox.Limits) (_ *leaf, err error) {
	g := c.group
	l := &leaf{group: g, paths: g.GetPaths(), v2: g.v2, meter: newMeter(), shared: c.meter}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make a cgroup: %w", err), l.remove())
		}
	}()
	mine := accounted
	if l.v2 {
		mine = []string{""}
	}
	for _, controller := range mine {
		dir, ok := l.paths[controller]
		if !ok {
			continue
		}
		dir = path.Join(path.Dir(dir), name)
		if err := unix.Mkdir(dir, 0o755); err != nil {
			return l, err
		}
		l.own = append(l.own, dir)
		l.paths[controller] = dir
	}
	for _, s := range l.settings(limits) {
		if err := writeFile(filepath.Join(l.paths[s.controller], s.file), s.value); err != nil {
			return l, err
		}
	}
	return l, l.limitTCP()
}

type cgroupSetting struct{ controller, file, value string }

// settings are the limits of what the leaf has of its own, as resources gives them
// to the cgroups library.
func (l *leaf) settings(limits sandbox.Limits) []cgroupSetting {
	r := resources(limits)
	memory, pids := strconv.FormatInt(r.Memory, 10), strconv.FormatInt(*r.PidsLimit, 10)
	var list []cgroupSetting
	if l.v2 {
		list = []cgroupSetting{{"", "memory.max", memory}, {"", "memory.swap.max", "0"}, {"", "pids.max", pids}}
		if r.CpuQuota > 0 {
			quota, period := strconv.FormatInt(r.CpuQuota, 10), strconv.FormatUint(r.CpuPeriod, 10)
			list = append(list, cgroupSetting{"", "cpu.max", quota + " " + period})
		}
		for file, value := range r.Unified {
			list = append(list, cgroupSetting{"", file, value})
		}
		return list
	}
	list = []cgroupSetting{{"memory", "memory.limit_in_bytes", memory}}
	if r.MemorySwap > 0 {
		list = append(list, cgroupSetting{"memory", "memory.memsw.limit_in_bytes", memory})
	}
	return append(list, cgroupSetting{"pids", "pids.max", pids})
}

// limitTCP bounds what the buffers of TCP connections take. cgroup v1 counts it
// apart from all other memory, and does not limit it; libcontainer has no
// setting for it. A kernel without that file counts nothing.
func (l *leaf) limitTCP() error {
	if l.v2 || !boundsTCP() {
		return nil
	}
	err := writeFile(filepath.Join(l.paths["memory"], "memory.kmem.tcp.limit_in_bytes"), strconv.Itoa(tcpBytes))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("limit the memory of TCP buffers: %w", err)
	}
	return nil
}

// add moves a process into the cgroup: in all hierarchies, also where nothing is
// limited, or it would see that it is not at the root of its cgroup namespace.
func (l *leaf) add(pid int) error {
	text := strconv.Itoa(pid)
	for _, dir := range slices.Compact(slices.Sorted(maps.Values(l.paths))) { // some controllers share one
		var err error
		if l.meter == l.shared || slices.Contains(l.own, dir) {
			err = writeFile(filepath.Join(dir, "cgroup.procs"), text)
		} else { // each use of the container does this
			err = l.shared.write(dir, "cgroup.procs", text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unthrottle takes the limit of processor time away until throttle is called. It is
// for when nothing of a user's runs in the cgroup.
func (l *leaf) unthrottle(limits sandbox.Limits) (throttle func() error, err error) {
	r := resources(limits)
	dir, ok := l.paths["cpu"]
	file, lifted, quota := "cpu.cfs_quota_us", "-1", strconv.FormatInt(r.CpuQuota, 10)
	if l.v2 {
		period := " " + strconv.FormatUint(r.CpuPeriod, 10)
		dir, ok = l.paths[""]
		file, lifted, quota = "cpu.max", "max"+period, quota+period
	}
	if !ok || r.CpuQuota <= 0 || limits.CPUs >= float64(runtime.NumCPU()) { // it can't be used up
		return func() error { return nil }, nil
	}
	set := func(value string) error {
		if err := writeFile(filepath.Join(dir, file), value); err != nil {
			return fmt.Errorf("set the limit of processor time: %w", err)
		}
		return nil
	}
	return sync.OnceValue(func() error { return set(quota) }), set(lifted)
}

// open returns a handle of the cgroup, on v2.
func (l *leaf) open() (*os.File, error) {
	f, err := os.OpenFile(l.paths[""], unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the cgroup: %w", err)
	}
	return f, nil
}

// pids lists the processes.
func (l *leaf) pids() ([]int, error) {
	dir := l.paths["pids"]
	if l.v2 {
		dir = l.paths[""]
	}
	text, err := readFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the cgroup's processes: %w", err)
	}
	var pids []int
	for line := range strings.Lines(string(text)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("list the cgroup's processes: %w", err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// killAll ends every process but spare and waits until they are gone. Where new
// ones turn up meanwhile, which fork faster than they are killed, all are frozen
// for that.
func (l *leaf) killAll(ctx context.Context, spare int) error {
	killed := map[int]bool{}
	for try := 0; ; try++ {
		left, err := l.killOnce(spare, killed, try > 0)
		if err != nil || left == 0 {
			return err
		}
		if try%killAgain == killAgain-1 {
			clear(killed) // in case a number was used again
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes are still there: %w", left, context.Cause(ctx))
		case <-time.After(min(killPoll, time.Duration(try+1)*firstKillPoll)):
		}
	}
}

// killOnce kills those that are not among the killed yet, and tells how many are
// there still.
func (l *leaf) killOnce(spare int, killed map[int]bool, again bool) (left int, err error) {
	pids, err := l.others(spare)
	if err != nil {
		return 0, err
	}
	fresh := slices.ContainsFunc(pids, func(pid int) bool { return !killed[pid] })
	if fresh && again {
		// A failure to freeze is no reason not to kill; the caller looks again.
		_ = l.group.Freeze(cgroups.Frozen)
		defer func() {
			if thawErr := l.group.Freeze(cgroups.Thawed); thawErr != nil && l.group.Exists() {
				err = errors.Join(err, fmt.Errorf("thaw the cgroup: %w", thawErr))
			}
		}()
		if pids, err = l.others(spare); err != nil {
			return 0, err
		}
	}
	for _, pid := range pids {
		if !killed[pid] {
			killed[pid] = true
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	return len(pids), nil
}

func (l *leaf) others(spare int) ([]int, error) {
	pids, err := l.pids()
	return slices.DeleteFunc(pids, func(pid int) bool { return pid == spare }), err
}

// remove takes the leaf's own directories away. The kernel may need a moment to
// notice that the last process is gone.
func (l *leaf) remove() error {
	const tries = 50
	if l.meter != l.shared {
		if err := l.meter.close(); err != nil {
			return fmt.Errorf("close the cgroup's files: %w", err)
		}
	}
	for _, dir := range l.own {
		var err error
		for range tries {
			if err = unix.Rmdir(dir); !errors.Is(err, unix.EBUSY) {
				break
			}
			time.Sleep(killPoll)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the cgroup %s: %w", dir, err)
		}
	}
	l.own = nil
	return nil
}

// onePiece is what the kernel surely gives in one piece, of files that it makes up
// as they are read: less than a page.
const onePiece = 2 << 10

// readFile and writeFile are for small files of the kernel's: os.File would be
// entered into the poller, which takes longer than all the rest.
func readFile(name string) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	buf := make([]byte, 0, 1024)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			return buf, nil
		}
		short := n < cap(buf)-len(buf)
		if buf = buf[:len(buf)+n]; short && len(buf) < onePiece {
			return buf, nil
		}
	}
}

func writeFile(name, text string) error {
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Write(fd, []byte(text))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return &os.PathError{Op: "write", Path: name, Err: err}
		case n != len(text):
			return &os.PathError{Op: "write", Path: name, Err: unix.EIO}
		}
		return nil
	}
}
