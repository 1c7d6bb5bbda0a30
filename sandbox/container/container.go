package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"tcid/sandbox"
)

const (
	// killTimeout is how long killed processes may take to be gone.
	killTimeout = 10 * time.Second
	// quietTimeout is how long the end of a namespace may take by itself.
	quietTimeout = 500 * time.Millisecond
	// stuckTimeout is how often it is asked what keeps those that are not.
	stuckTimeout = 2 * time.Second
)

// container is a libcontainer container that runs, with its cgroup: that of a
// session, or that of a zygote.
type container struct {
	b       *Backend
	id      string
	libc    *libcontainer.Container
	group   *group
	meter   *meter // of the group's files
	initPid int
	done    chan struct{} // closed when the init was reaped
	state   *os.ProcessState
	facts   facts  // about the init
	stuck   func() // called when killed processes are not gone soon; may be nil
}

// start makes a container of an image, starts its init and takes the mounts that
// it was made from away. What is to be undone is added to undo. config gets the
// paths of the root and of the device nodes.
func (b *Backend) start(ctx context.Context, id string, image sandbox.Image, init *libcontainer.Process, undo *cleanup,
	config func(rootfs, devices string) *configs.Config,
) (_ *container, err error) {
	c := &container{b: b, id: id, meter: newMeter(), done: make(chan struct{})}
	undo.add("close the cgroup's files", c.meter.close)
	rootfs, err := b.mountPoint(id, undo)
	if err != nil {
		return nil, err
	}
	if err := b.mounter.mount(ctx, rootfs, b.support, image.Root); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.mounter.unmount(rootfs)) }()
	devices, err := b.mountPoint(id+devicesSuffix, undo)
	if err != nil {
		return nil, err
	}
	if err := b.mounter.mountDevices(ctx, devices, b.devices); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.mounter.unmount(devices)) }()

	conf := config(rootfs, devices)
	if c.group, err = newGroup(conf.Cgroups.Path, conf.Cgroups.Resources); err != nil {
		return nil, err
	}
	c.libc, err = libcontainer.Create(filepath.Join(b.cfg.StateDir, containersDir), id, conf)
	if err != nil {
		return nil, fmt.Errorf("create the container: %w", err)
	}
	undo.add("destroy the container", c.destroy)
	if err := c.run(ctx, init); err != nil {
		return nil, fmt.Errorf("start the container: %w", err)
	}
	if err := c.ownLeaf().limitTCP(); err != nil {
		return nil, err
	}
	if c.initPid, err = init.Pid(); err != nil {
		return nil, fmt.Errorf("start the container: %w", err)
	}
	go func() {
		awaitExit(c.initPid)
		c.state = reap(init)
		close(c.done)
	}()
	undo.add("end the container's processes", c.killAll)
	return c, nil
}

// mountPoint makes a directory to put a root together on. It stays, empty, as
// long as the container: libcontainer starts further processes from there.
func (b *Backend) mountPoint(name string, undo *cleanup) (string, error) {
	dir := filepath.Join(b.cfg.StateDir, mountsDir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a mount point: %w", err)
	}
	undo.add("remove a mount point", func() error { return os.Remove(dir) })
	return dir, nil
}

// run starts a process. libcontainer's Run takes no context and can hang on a
// sick host, so that a late one is ended through its cgroup.
func (c *container) run(ctx context.Context, p *libcontainer.Process) error {
	result := make(chan error, 1)
	go func() { result <- c.libc.Run(p) }()
	select {
	case err := <-result:
		return explain(err)
	case <-ctx.Done():
	}
	killCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	killErr := c.group.killAll(killCtx, 0)
	select {
	case err := <-result:
		if err == nil {
			go func() { _, _ = p.Wait() }()
		}
	case <-killCtx.Done():
	}
	return errors.Join(context.Cause(ctx), killErr)
}

// reap waits for a process that libcontainer started.
func reap(p *libcontainer.Process) *os.ProcessState {
	state, err := p.Wait()
	var exitErr *exec.ExitError
	if errors.As(err, &exitErr) {
		return exitErr.ProcessState
	}
	return state
}

// explain finds the usual reasons in libcontainer's errors.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), "OOM") {
		return fmt.Errorf("%w: there is too little memory: %w", sandbox.ErrLimitTooLow, err)
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

// killAll ends every process of the container. The init's death ends all others
// of its namespace with it; the cgroup is asked as well, since only an empty one
// can go.
func (c *container) killAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	select {
	case <-c.done:
	default:
		// The init is our child and not reaped before done closes.
		if err := c.libc.Signal(unix.SIGKILL); err != nil && !errors.Is(err, libcontainer.ErrNotRunning) {
			c.b.log.Warn("could not signal a container's init; killing by cgroup")
		}
	}
	if c.stuck != nil {
		// A namespace of processes ends once all in it are reaped, by a zygote, too.
		gone := make(chan struct{})
		defer close(gone)
		go func() {
			for {
				select {
				case <-gone:
					return
				case <-time.After(stuckTimeout):
					c.stuck()
				}
			}
		}()
	}
	// Where all is well nothing is left then, and need not be frozen to be killed.
	select {
	case <-c.done:
	case <-time.After(quietTimeout):
	case <-ctx.Done():
	}
	if err := c.group.killAll(ctx, 0); err != nil {
		return fmt.Errorf("end the container's processes: %w", err)
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return errors.New("end the container's processes: the init was killed but is not gone")
	}
}

func (c *container) destroy() error {
	if err := c.libc.Destroy(); err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
		return fmt.Errorf("destroy the container: %w", err)
	}
	return nil
}

// socketDir makes a directory for sockets that only root can enter, and returns a
// handle of it.
func (b *Backend) socketDir(id string, undo *cleanup) (*os.File, error) {
	path := filepath.Join(b.cfg.StateDir, socketsDir, id)
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the socket directory: %w", err)
	}
	undo.add("remove the socket directory", func() error { return os.RemoveAll(path) })
	dir, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the socket directory: %w", err)
	}
	undo.add("close the socket directory", dir.Close)
	return dir, nil
}
