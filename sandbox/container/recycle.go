package container

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// maxUses is how often a container is used before it is removed: its init's
// namespace of processes counts ever upwards.
const maxUses = 1000

// renewed are the namespaces that a kernel of a used container makes anew: ports,
// queues and segments of the use before stay behind in the old ones.
const renewed = unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP

// leafName names the cgroup of a container's later uses.
func (x *box) leafName() string { return x.id + "." + strconv.Itoa(x.used) }

// endUse ends every process but the init, and what this use had.
func (x *box) endUse(ctx context.Context) error {
	select {
	case <-x.done:
		return errors.New("the init has ended")
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	if p := x.forked.Load(); p != nil {
		// Its end is told at once; that of others has to be looked for.
		_ = p.Kill()
		select {
		case <-p.done:
		case <-time.After(quietTimeout):
		case <-ctx.Done():
		}
	}
	if err := x.leaf.killAll(ctx, x.initPid); err != nil {
		return fmt.Errorf("end the sandbox's processes: %w", err)
	}
	return x.undo.run(x.b.log)
}

// renew makes a sandbox for the same image and limits of a container that was
// used: new ids, a cgroup of its own, and a kernel that mounts all that can be
// written to anew and makes a new network, so that nothing of the use before is
// left. It must not fail halfway unseen: on an error the caller removes the
// container.
func (old *box) renew(ctx context.Context) (x *box, err error) {
	x = &box{container: old.container, spec: old.spec, domain: old.domain, sockets: old.sockets, used: old.used + 1, kernels: old.kernels, rlimits: old.rlimits}
	x.spec.Env, x.spec.Cwd = nil, ""
	x.stuck = x.endZygote
	x.whole, old.whole = old.whole, cleanup{}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.undo.run(x.b.log))
		}
	}()
	id, err := x.domain.ids.acquire()
	if err != nil {
		return x, err
	}
	x.owner = owner{x.domain.holder, id, id + 1}
	x.undo.add("release the ids", func() error { x.domain.ids.release(id); return nil })
	if x.leaf, err = x.newLeaf(x.leafName(), x.spec.Limits); err != nil {
		return x, err
	}
	x.undo.add("remove the cgroup", x.leaf.remove)
	if err := x.domain.allowClone(x.leaf.paths); err != nil {
		return x, err
	}
	x.undo.add("end the processes", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
		defer cancel()
		return x.leaf.killAll(ctx, x.initPid)
	})
	p, err := x.startKernel(ctx, true)
	if err != nil {
		return x, err
	}
	x.parked = p
	// The kernel waits at its socket, and has run nothing of a user's.
	return x, x.openWorkspace()
}
