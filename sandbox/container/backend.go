package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/opencontainers/cgroups"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tcid/sandbox"
)

// Directories below the state directory.
const (
	containersDir = "containers" // libcontainer's own state
	mountsDir     = "mnt"        // where roots are put together
	socketsDir    = "sockets"    // the kernels' sockets, root only
)

// Shares of the host that all sandboxes together leave to everybody else.
const (
	memoryReserve      = 512 << 20
	memoryReserveShare = 20 // at least a twentieth
	pidsShare          = 2  // at most half of the host's process ids
)

// Config says where a Backend keeps its things.
type Config struct {
	StateDir string // dies with the boot; reachable for everybody (0711 up to /)
	DataDir  string // images lie below it
	// CgroupRoot is this daemon's own cgroup, from the root of the hierarchies.
	CgroupRoot string
	// Scope, when set, has somebody else make CgroupRoot around a process that
	// stays in it: systemd, which owns the hierarchy of cgroup v2.
	Scope func(ctx context.Context, pid int) error
	// IDLockDir is shared by all daemons of the host.
	IDLockDir string
	// Pool is how many sandboxes are kept ready at most, of one kind; 0: none.
	Pool int
	Log  *zap.Logger
}

// Backend makes sandboxes with libcontainer. It implements sandbox.Backend.
type Backend struct {
	cfg     Config
	log     *zap.Logger
	ids     *idRanges
	mounter *mounter
	tree    tree
	root    *group
	holders *group
	support string // the support layer
	devices string // the directory of device nodes
	program string // tcid-init on the host
	starter bool   // containers are started with the starter
	keeper  *keeper
	starts  chan struct{}
	domains domains
	pool    *pool

	loopback *raiser
	zygotes  atomic.Uint64 // started so far; numbers them
	forks    atomic.Uint64 // kernels forked so far
	moves    atomic.Uint64 // of them, those that were moved to their cgroup
}

var _ sandbox.Backend = (*Backend)(nil)

// New prepares the host for sandboxes: it ends and removes what an earlier
// daemon with the same state directory left, and fails with an explanation
// when something that isolation needs is missing. The caller holds the lock on
// the state directory and runs in a mount namespace of its own.
func New(ctx context.Context, cfg Config) (_ *Backend, err error) {
	bridgeLogs(cfg.Log)
	b := &Backend{
		cfg: cfg, log: cfg.Log, tree: tree{root: cfg.CgroupRoot},
		starts: make(chan struct{}, 2*runtime.NumCPU()),
	}
	b.domains = domains{b: b, byID: map[string]*domain{}}
	var undo cleanup
	defer func() {
		if err != nil {
			_ = undo.run(b.log)
		}
	}()
	if err := checkReachable(cfg.StateDir); err != nil {
		return nil, err
	}
	for _, d := range []struct {
		name string
		mode os.FileMode
	}{{containersDir, 0o711}, {mountsDir, 0o711}, {socketsDir, 0o700}} {
		if err := makeDir(filepath.Join(cfg.StateDir, d.name), d.mode); err != nil {
			return nil, err
		}
	}
	if b.starter, err = usesStarter(filepath.Join(cfg.StateDir, containersDir)); err != nil {
		return nil, err
	}
	if !b.starter {
		b.log.Warn("containers are started with the whole program, which takes longer")
	}
	if b.ids, err = newIDRanges(cfg.IDLockDir, cfg.StateDir); err != nil {
		return nil, err
	}
	undo.add("unlock the id ranges", func() error { b.ids.close(); return nil })
	if err := b.sweep(ctx); err != nil {
		return nil, fmt.Errorf("sweep what an earlier daemon left: %w", err)
	}
	if b.support, err = installSupport(cfg.DataDir); err != nil {
		return nil, err
	}
	if b.devices, err = installDevices(cfg.DataDir); err != nil {
		return nil, err
	}
	b.program = filepath.Join(b.support, initPath)
	if cfg.Scope != nil {
		if b.keeper, err = startKeeper(ctx, b.support, b.tree.keeperPath(), cfg.Scope); err != nil {
			return nil, err
		}
		undo.add("end the keeper", func() error { b.keeper.stop(); return nil })
	}
	undo.add("remove the cgroups", b.removeGroups)
	if err := b.makeGroups(); err != nil {
		return nil, err
	}
	if b.mounter, err = newMounter(cfg.DataDir); err != nil {
		return nil, err
	}
	undo.add("close the mounts", func() error { b.mounter.close(); return nil })
	if b.loopback, err = newRaiser(); err != nil {
		return nil, err
	}
	b.pool = newPool(b, cfg.Pool)
	return b, nil
}

// Close removes what the backend keeps while it runs. All sandboxes must have
// been destroyed.
func (b *Backend) Close() error {
	b.pool.close()
	b.domains.close()
	b.mounter.close()
	b.loopback.close()
	if b.keeper != nil {
		b.keeper.stop()
	}
	err := b.removeGroups()
	for _, name := range []string{containersDir, mountsDir, socketsDir} {
		// Not RemoveAll: what is still in there is somebody's, or a bug to see.
		err = errors.Join(err, os.Remove(filepath.Join(b.cfg.StateDir, name)))
	}
	b.ids.close()
	return err
}

// UsesStarter tells whether containers are started with the small program that is
// there for it. With the whole program they work as well, but start later.
func (b *Backend) UsesStarter() bool { return b.starter }

// Isolation tells what is enforced around every sandbox.
func (b *Backend) Isolation() sandbox.Isolation {
	limits := []string{"memory", "cpu", "pids", "disk"}
	if swapAccounted() {
		limits = append(limits, "swap")
	}
	return sandbox.Isolation{
		Start:      sandbox.StartFork,
		Namespaces: []string{"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"},
		Seccomp:    true,
		Cgroup:     CgroupMode(),
		Limits:     limits,
		Warnings:   b.domains.weaknesses(),
	}
}

// makeGroups makes the cgroups that holders and sandboxes live in. Sandboxes are
// bounded together, so that they can't starve the host.
func (b *Backend) makeGroups() (err error) {
	limits := &cgroups.Resources{}
	if total, err := hostMemory(); err == nil {
		limits.Memory = total - max(memoryReserve, total/memoryReserveShare)
	}
	if text, err := readFile("/proc/sys/kernel/pid_max"); err == nil {
		if most, err := parseNumber(text, "pid_max"); err == nil {
			half := most / pidsShare
			limits.PidsLimit = &half
		}
	}
	if b.root, err = newGroup(b.tree.root, &cgroups.Resources{}); err != nil {
		return err
	}
	if b.holders, err = newGroup(b.tree.holdersPath(), &cgroups.Resources{}); err != nil {
		return err
	}
	sandboxes, err := newGroup(b.tree.sandboxPath(""), limits)
	if err != nil {
		return err
	}
	for _, g := range []*group{b.root, b.holders, sandboxes} {
		if err := g.create(-1); err != nil {
			return fmt.Errorf("%w (is /sys/fs/cgroup writable, and are the memory, cpu and pids controllers on?)", err)
		}
	}
	return nil
}

func (b *Backend) removeGroups() error {
	if b.root == nil {
		return nil
	}
	return b.root.remove()
}

func hostMemory() (int64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("read the host's memory size: %w", err)
	}
	return int64(info.Totalram) * int64(info.Unit), nil
}

func makeDir(path string, mode os.FileMode) error {
	if err := os.MkdirAll(path, mode); err != nil {
		return fmt.Errorf("make a state directory: %w", err)
	}
	// The umask may have taken bits away.
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("make a state directory: %w", err)
	}
	return nil
}

// checkReachable makes sure that a session's mapped root can walk to dir: the
// container's root is put together below it.
func checkReachable(dir string) error {
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Lstat(d)
		if err != nil {
			return fmt.Errorf("look at the state directory: %w", err)
		}
		if info.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("the state directory %s leads through the symbolic link %s; name the real path", dir, d)
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("sandboxes can't reach the state directory %s, since %s has mode %#o: choose a state directory below /run, or chmod o+x %s",
				dir, d, info.Mode().Perm(), d)
		}
		if d == "/" {
			return nil
		}
	}
}
