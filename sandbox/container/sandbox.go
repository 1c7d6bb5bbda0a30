package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/runc/libcontainer"
	"golang.org/x/sys/unix"

	"tcid/sandbox"
	"tcid/sandbox/workspace"
)

const (
	startTimeout = 30 * time.Second
	// killTimeout is how long killed processes may take to be gone.
	killTimeout = 5 * time.Second
)

// box is one sandbox. It implements sandbox.Sandbox.
type box struct {
	b         *Backend
	spec      sandbox.Spec
	container *libcontainer.Container
	group     *group
	holder    *holder
	workspace *workspace.Dir
	sockets   *os.File // directory of the kernels' sockets
	initPid   int
	done      chan struct{} // closed when the init was reaped

	mu      sync.Mutex // serialises kernel starts and destruction
	closed  bool
	kernels int     // started so far; numbers the sockets
	undo    cleanup // what Destroy does, in reverse order
}

// Create starts an empty sandbox: a container with nothing but its init.
func (b *Backend) Create(ctx context.Context, spec sandbox.Spec) (_ sandbox.Sandbox, err error) {
	if err := validID(spec.ID); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		fmt.Errorf("the sandbox did not start within %v", startTimeout))
	defer cancel()
	select {
	case b.starts <- struct{}{}:
		defer func() { <-b.starts }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	x := &box{b: b, spec: spec, done: make(chan struct{})}
	defer func() {
		if err != nil {
			_ = x.undo.run(b.log)
		}
	}()
	if err := x.makeNamespace(ctx); err != nil {
		return nil, err
	}
	if err := x.makeSocketDir(); err != nil {
		return nil, err
	}
	if err := x.startContainer(ctx); err != nil {
		return nil, err
	}
	x.workspace, err = workspace.Open(fmt.Sprintf("/proc/%d/root%s", x.initPid, workspaceDir),
		int(x.holder.base)+kernelUID, int(x.holder.base)+kernelUID)
	if err != nil {
		return nil, fmt.Errorf("open the workspace: %w", err)
	}
	x.undo.add("close the workspace", x.workspace.Close)
	return x, nil
}

// makeNamespace takes a block of ids and starts the holder of a user namespace
// with them.
func (x *box) makeNamespace(ctx context.Context) error {
	base, err := x.b.ids.acquire()
	if err != nil {
		return err
	}
	x.undo.add("release the ids", func() error { x.b.ids.release(base); return nil })
	x.holder, err = startHolder(ctx, x.b.program, base, x.b.holders.Apply)
	if err != nil {
		return exhausted(err)
	}
	x.undo.add("end the holder", func() error { x.holder.stop(); return nil })
	return nil
}

func (x *box) makeSocketDir() error {
	path := filepath.Join(x.b.cfg.StateDir, socketsDir, x.spec.ID)
	if err := os.Mkdir(path, 0o700); err != nil {
		return fmt.Errorf("make the socket directory: %w", err)
	}
	x.undo.add("remove the socket directory", func() error { return os.RemoveAll(path) })
	dir, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the socket directory: %w", err)
	}
	x.sockets = dir
	x.undo.add("close the socket directory", dir.Close)
	return nil
}

// startContainer mounts the root, starts the init and takes the mount away.
func (x *box) startContainer(ctx context.Context) (err error) {
	id, cfg := x.spec.ID, x.b.cfg
	rootfs := filepath.Join(cfg.StateDir, mountsDir, id)
	// The directory stays, empty, as long as the container: libcontainer starts
	// further processes from there.
	if err := os.Mkdir(rootfs, 0o755); err != nil {
		return fmt.Errorf("make the root's mount point: %w", err)
	}
	x.undo.add("remove the root's mount point", func() error { return os.Remove(rootfs) })
	if err := x.b.mounter.mount(ctx, rootfs, x.b.support, x.spec.Image.Root); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.b.mounter.unmount(rootfs)) }()

	devices, err := x.mountDevices(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.b.mounter.unmount(devices)) }()

	cgroupPath := x.b.tree.sandboxPath(id)
	config := containerConfig(x.spec, rootfs, devices, cgroupPath, x.holder)
	if x.group, err = newGroup(cgroupPath, config.Cgroups.Resources); err != nil {
		return err
	}
	x.container, err = libcontainer.Create(filepath.Join(cfg.StateDir, containersDir), id, config)
	if err != nil {
		return fmt.Errorf("create the container: %w", err)
	}
	x.undo.add("destroy the container", x.destroyContainer)
	init := &libcontainer.Process{
		Args: []string{initPath, "reap", filterPath}, Env: []string{"PATH="}, Cwd: "/",
		UID: initUID, GID: initUID, Init: true,
	}
	if err := x.run(ctx, init); err != nil {
		return fmt.Errorf("start the container: %w", err)
	}
	if err := x.group.limitTCP(); err != nil {
		return err
	}
	x.initPid, err = init.Pid()
	if err != nil {
		return fmt.Errorf("start the container: %w", err)
	}
	go func() {
		awaitExit(x.initPid)
		_, _ = init.Wait()
		close(x.done)
	}()
	x.undo.add("end the container's processes", x.killAll)
	return nil
}

// mountDevices makes the device nodes of the sandbox, which the container binds.
func (x *box) mountDevices(ctx context.Context) (dir string, err error) {
	dir = filepath.Join(x.b.cfg.StateDir, mountsDir, x.spec.ID+devicesSuffix)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the devices' mount point: %w", err)
	}
	x.undo.add("remove the devices' mount point", func() error { return os.Remove(dir) })
	return dir, x.b.mounter.mountDevices(ctx, dir, x.b.devices)
}

// run starts a process. libcontainer's Run takes no context and can hang on a
// sick host, so that a late one is ended through its cgroup.
func (x *box) run(ctx context.Context, p *libcontainer.Process) error {
	result := make(chan error, 1)
	go func() { result <- x.container.Run(p) }()
	select {
	case err := <-result:
		return x.explain(err)
	case <-ctx.Done():
	}
	killCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	killErr := x.group.killAll(killCtx, 0)
	select {
	case err := <-result:
		if err == nil {
			go func() { _, _ = p.Wait() }()
		}
	case <-killCtx.Done():
	}
	return errors.Join(context.Cause(ctx), killErr)
}

// explain finds the usual reasons in libcontainer's errors.
func (x *box) explain(err error) error {
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), "OOM") {
		return fmt.Errorf("%w: %d bytes of memory are too few: %w", sandbox.ErrLimitTooLow, x.spec.Limits.MemoryBytes, err)
	}
	return exhausted(err)
}

// exhausted marks errors that mean that the host is full, not broken.
func exhausted(err error) error {
	for _, full := range []error{unix.EAGAIN, unix.ENOMEM, unix.ENOSPC, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w: %w", sandbox.ErrExhausted, err)
		}
	}
	return err
}

func (x *box) Workspace() *workspace.Dir { return x.workspace }

func (x *box) Done() <-chan struct{} { return x.done }

func (x *box) Usage() (sandbox.Usage, error) { return x.group.usage() }

func (x *box) ResetPeaks() { x.group.resetPeaks() }

// Destroy ends every process and removes everything that Create made.
func (x *box) Destroy(context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	return x.undo.run(x.b.log)
}

// killAll ends every process of the container. The init's death ends all
// others with it; the cgroup is asked as well, since only an empty one can go.
func (x *box) killAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	select {
	case <-x.done:
	default:
		// The init is our child and not reaped before done closes.
		if err := x.container.Signal(unix.SIGKILL); err != nil && !errors.Is(err, libcontainer.ErrNotRunning) {
			x.b.log.Warn("could not signal a container's init; killing by cgroup")
		}
	}
	if err := x.group.killAll(ctx, 0); err != nil {
		return fmt.Errorf("end the sandbox's processes: %w", err)
	}
	select {
	case <-x.done:
		return nil
	case <-ctx.Done():
		return errors.New("end the sandbox's processes: the init was killed but is not gone")
	}
}

func (x *box) destroyContainer() error {
	if err := x.container.Destroy(); err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
		return fmt.Errorf("destroy the container: %w", err)
	}
	return nil
}
