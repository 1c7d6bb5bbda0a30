package container

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"go.uber.org/zap"

	"tcid/sandbox"
	"tcid/sandbox/workspace"
)

const (
	startTimeout = 30 * time.Second
	sandboxName  = "sbx_" // and random letters, which nobody outside is told to rely on
)

// owner is who a sandbox's processes are: a user namespace, and two ids in it.
type owner struct {
	holder *holder
	kernel uint32 // inside the namespace; so is
	init   uint32
}

// hostID is what the kernel's id is on the host.
func (o owner) hostID() int { return int(o.holder.base + o.kernel) }

// box is one sandbox: the use of a container. It implements sandbox.Sandbox.
type box struct {
	*container
	spec      sandbox.Spec
	owner     owner
	domain    *domain // nil: kernels are not forked
	leaf      *leaf   // of the kernel and what it starts; the init's too in a container's first use
	workspace *workspace.Dir
	sockets   *os.File // directory of the kernels' sockets
	used      int      // how often the container was used before
	// parked is a kernel that was started ahead, and waits for its first use.
	parked  *process
	rlimits []rlimit // see limits
	lent    bool     // its container comes back to the pool after this use
	// forked is the last kernel that a zygote has made, and reaps.
	forked atomic.Pointer[process]
	// warning says why kernels are not forked here, though they should be.
	warning atomic.Pointer[string]

	mu      sync.Mutex // serialises kernel starts and destruction
	closed  bool
	kernels int     // started so far; numbers the sockets
	whole   cleanup // removes the container, in reverse order
	undo    cleanup // ends this use; before whole
}

// Create starts an empty sandbox: a container with nothing but its init. One that
// was prepared ahead may have a kernel as well.
func (b *Backend) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	x := b.pool.take(ctx, spec)
	if x == nil {
		var err error
		if x, err = b.create(ctx, spec); err != nil {
			return nil, err
		}
	}
	b.pool.lend(x)
	return x, nil
}

func (b *Backend) create(ctx context.Context, spec sandbox.Spec) (_ *box, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		fmt.Errorf("the sandbox did not start within %v", startTimeout))
	defer cancel()
	select {
	case b.starts <- struct{}{}:
		defer func() { <-b.starts }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	x := &box{spec: spec}
	defer func() {
		if err != nil {
			_ = x.undo.run(b.log)
			_ = x.whole.run(b.log)
		}
	}()
	if err := x.findOwner(ctx, b); err != nil {
		return nil, err
	}
	id := sandboxName + strings.ToLower(rand.Text())
	if x.sockets, err = b.socketDir(id, &x.whole); err != nil {
		return nil, err
	}
	init := &libcontainer.Process{
		Args: []string{initPath, "reap", filterPath, filterRestPath}, Env: []string{"PATH="}, Cwd: "/",
		UID: int(x.owner.init), GID: int(x.owner.init), Init: true,
	}
	x.container, err = b.start(ctx, id, spec.Image, init, &x.whole, func(rootfs, devices string) *configs.Config {
		return containerConfig(spec, rootfs, devices, x.cgroupPath(b, id), x.owner)
	})
	if err != nil {
		return nil, err
	}
	x.leaf = x.ownLeaf()
	x.stuck = x.endZygote
	if x.domain != nil {
		if err := x.domain.allowClone(x.leaf.paths); err != nil {
			return nil, err
		}
	}
	return x, x.openWorkspace()
}

func (x *box) cgroupPath(b *Backend, id string) string {
	if x.domain != nil {
		return x.domain.cgroupPath(id)
	}
	return b.tree.sandboxPath(id)
}

// openWorkspace takes a handle of the workspace, before any user code has run.
func (x *box) openWorkspace() (err error) {
	path := procPath(x.initPid, "root"+workspaceDir)
	if x.workspace, err = workspace.Open(path, x.owner.hostID(), x.owner.hostID()); err != nil {
		return fmt.Errorf("open the workspace: %w", err)
	}
	x.undo.add("close the workspace", x.workspace.Close)
	return nil
}

// findOwner gives the sandbox ids: in the namespace of its image's domain, where
// kernels are forked, else in one of its own.
func (x *box) findOwner(ctx context.Context, b *Backend) error {
	if x.spec.Start == sandbox.StartFork {
		err := x.joinDomain(ctx, b)
		if err == nil {
			return nil
		}
		x.warn(err)
	}
	base, err := b.ids.acquire()
	if err != nil {
		return err
	}
	x.whole.add("release the ids", func() error { b.ids.release(base); return nil })
	h, err := startHolder(ctx, b.program, base, b.holders.Apply)
	if err != nil {
		return exhausted(err)
	}
	x.whole.add("end the holder", h.stop)
	x.owner = owner{h, kernelUID, initUID}
	return nil
}

func (x *box) joinDomain(ctx context.Context, b *Backend) error {
	d, err := b.domains.join(ctx, x.spec.Image)
	if err != nil {
		return err
	}
	x.whole.add("leave the image's domain", func() error { b.domains.leave(d); return nil })
	id, err := d.ids.acquire()
	if err != nil {
		return err
	}
	x.whole.add("release the ids", func() error { d.ids.release(id); return nil })
	x.domain, x.owner = d, owner{d.holder, id, id + 1}
	return nil
}

// ID names the sandbox's container and cgroup.
func (x *box) ID() string { return x.id }

// endZygote ends the zygote that should have reaped the last kernel, if that is
// what the sandbox's end waits for: thousands of processes take their time, too.
func (x *box) endZygote() {
	p := x.forked.Load()
	if p == nil || !p.zygote.leaves(p.pid) {
		return
	}
	x.b.log.Warn("a zygote does not reap its kernels and is ended", zap.String("image", x.spec.Image.Name))
	p.zygote.condemn()
	p.zygote.stop()
}

// limits are the resource limits of the sandbox's processes.
func (x *box) limits() []rlimit {
	if x.rlimits == nil {
		x.rlimits = rlimits(x.spec.Limits)
	}
	return x.rlimits
}

func (x *box) Workspace() *workspace.Dir { return x.workspace }

func (x *box) Done() <-chan struct{} { return x.done }

func (x *box) Usage() (sandbox.Usage, error) { return usageOf(x) }

func (x *box) ResetPeaks() { x.leaf.resetPeaks() }

// Start tells how the sandbox's kernels start, and why not as it was asked for.
func (x *box) Start() (how, warning string) {
	if w := x.warning.Load(); w != nil {
		return sandbox.StartFresh, *w
	}
	if p := x.forked.Load(); p != nil {
		return x.spec.Start, p.zygote.flaws()
	}
	return x.spec.Start, ""
}

func (x *box) warn(err error) {
	text := "the image's kernels can't be forked now, and start anew, which takes longer: " + err.Error()
	x.warning.Store(&text)
}

// Destroy ends every process and removes everything that Create made. The
// container of one execution may serve the same principal again.
func (x *box) Destroy(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lent && x.b.pool.open() {
		if err := x.endUse(ctx); err == nil {
			x.closed = true
			x.b.pool.recycle(x)
			return nil
		}
	}
	x.closed = true
	x.b.pool.lost(x)
	if err := x.undo.run(x.b.log); err != nil {
		return err
	}
	return x.whole.run(x.b.log)
}
