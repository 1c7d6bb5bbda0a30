package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tcid/sandbox"
)

// forkTimeout is how long a zygote may take for one kernel. One that takes longer
// hangs, and is ended.
const forkTimeout = 5 * time.Second

// forkOrders is how many orders a zygote is given at a time: one to work on, and the
// next. Those who wait for their turn do not take the zygote for one that hangs.
const forkOrders = 2

// forkTries is with how many zygotes it is tried: each may be killed just then.
const forkTries = 3

// joined are the namespaces of a container that a forked kernel enters. The
// mount namespace is the last, since it changes what paths mean.
var joined = []string{"uts", "ipc", "net", "cgroup", "pid", "mnt"}

// joinedAgain are those of a container that was used before; the others are made
// anew (renewed).
var joinedAgain = []string{"uts", "pid", "mnt"}

// fork has the zygote of the box's domain make the kernel. It is placed in the
// session's cgroup before it has memory of its own, and looked at from outside
// before it runs the first line of Python.
func (p *process) fork(ctx context.Context, z *zygote, listener *os.File, anew bool) (err error) {
	select {
	case z.orders <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	next := sync.OnceFunc(func() { <-z.orders })
	defer next()
	late := fmt.Errorf("%w: it did not fork within %v", errZygoteGone, forkTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, forkTimeout, late)
	defer cancel()
	x := p.box
	note, errorPipe, err := notePipe()
	if err != nil {
		return err
	}
	defer unix.Close(errorPipe)
	p.note = note
	status, theirs, err := statusSocket()
	if err != nil {
		return err
	}
	defer status.Close()
	closeTheirs := sync.OnceFunc(func() { unix.Close(theirs) })
	defer closeTheirs()
	begun, connection, err := connectionPair()
	if err != nil {
		return err
	}
	defer unix.Close(connection)
	defer func() {
		if err != nil {
			_ = begun.Close()
		}
	}()
	o := order{uid: x.owner.kernel, faults: faults(), limits: x.limits(), threads: uint32(threadCount(x.spec.Limits))}
	join := joined
	if x.used > 0 {
		join, o.unshare = joinedAgain, renewed
	}
	if anew {
		o.mounts = writable(x.spec.Limits, x.owner.kernel)
	}
	namespaces, err := openNamespaces(x.initPid, join)
	if err != nil {
		return err
	}
	defer closeAll(namespaces)
	o.namespaces = uint32(len(namespaces))
	var cgroup *os.File
	if x.leaf.v2 {
		if cgroup, err = x.leaf.open(); err != nil {
			return err
		}
		defer cgroup.Close()
		o.intoCgroup = true
	}
	body, err := o.encode()
	if err != nil {
		return err
	}
	given, err := identify(errorPipe, int(listener.Fd()), connection, theirs)
	if err != nil {
		return err
	}
	fds := []int{theirs, int(listener.Fd()), connection, errorPipe}
	fds = append(fds, namespaces...)
	if cgroup != nil {
		fds = append(fds, int(cgroup.Fd()))
	}
	// What was used up before must not hold the zygote up, which waits for the
	// process in between.
	throttle, err := x.leaf.unthrottle(x.spec.Limits)
	if err != nil {
		return err
	}
	z.expectChild()
	defer func() {
		if err != nil {
			z.childEnded()
			_ = throttle() // who cares for the sandbox yet has the first error
		}
	}()
	if err := z.send(body, fds); err != nil {
		return err
	}
	closeTheirs() // else the end of the child would not be seen
	stop := context.AfterFunc(ctx, func() { _ = status.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := p.admit(z, status, given, func() error { next(); return throttle() }); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if errors.Is(err, errZygoteGone) {
			go z.stop()
		} else if z.endsSoon() {
			err = fmt.Errorf("%w: %w", errZygoteGone, err)
		}
		return err
	}
	p.zygote = z
	p.begun.Store(&begun)
	x.forked.Store(p)
	x.b.forks.Add(1)
	go p.waitForked()
	return nil
}

// admit is the daemon's side of the talk with the kernel that is being made. It
// calls forked when the zygote has done its part.
func (p *process) admit(z *zygote, status *os.File, given descriptors, forked func() error) error {
	x := p.box
	parent, placed, err := expect(status, "iI")
	if err != nil {
		return err
	}
	if placed != 'I' {
		if err := x.leaf.add(parent); err != nil {
			return fmt.Errorf("place the kernel in its cgroup: %w", err)
		}
		x.b.moves.Add(1)
	}
	if _, err := status.Write([]byte{'g'}); err != nil {
		return err
	}
	pid, _, err := expect(status, "k")
	if err != nil {
		return err
	}
	if p.pidfd, err = openPidfd(pid); err != nil {
		return err
	}
	p.pid = pid
	z.expect(pid)
	if err = forked(); err == nil {
		err = p.examine(parent, status, given)
	}
	if err != nil {
		_ = p.pidfd.signal(unix.SIGKILL, 0)
		p.pidfd.close()
		z.forget(pid)
		return err
	}
	return nil
}

// examine looks at the kernel from outside, and lets it begin.
func (p *process) examine(parent int, status *os.File, given descriptors) error {
	x := p.box
	if x.used > 0 {
		if err := x.b.loopback.raise(p.pid); err != nil {
			return err
		}
	}
	err := x.inspect(p.pid, parent, given)
	if err == nil && p.pidfd.hasEnded() { // or all of this was about another process
		err = errors.New("it has ended")
	}
	if err != nil {
		return fmt.Errorf("the kernel that was forked is not as it should be, and was ended: %w", err)
	}
	if _, err := status.Write(append([]byte{'o'}, x.told()...)); err != nil {
		return fmt.Errorf("let the kernel begin: %w", err)
	}
	return nil
}

// told is what a forked kernel learns when it may begin: its directory inside the
// workspace, and each variable that its environment has beyond the zygote's as
// NAME=VALUE, with a zero between them.
func (x *box) told() []byte {
	cwd := strings.TrimPrefix(strings.TrimPrefix(x.cwd(), workspaceDir), "/")
	return []byte(strings.Join(append([]string{cwd}, x.spec.Env...), "\x00"))
}

// waitForked waits for the kernel's end, and asks the zygote, which reaps it, how
// it ended.
func (p *process) waitForked() {
	p.pidfd.ended()
	exit := p.zygote.exit(p.pid)
	p.zygote.childEnded()
	p.finish(exit)
}

// statusSocket makes the pair of sockets on which one kernel's making is told.
// Packets come with their sender's process id, by the host's kernel.
func statusSocket() (ours *os.File, theirs int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, fmt.Errorf("make a status socket: %w", err)
	}
	err = unix.SetNonblock(pair[0], true) // so that os.NewFile knows it for one to wait for
	ours = os.NewFile(uintptr(pair[0]), "status")
	if err == nil {
		err = unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	}
	if err != nil {
		_ = ours.Close()
		unix.Close(pair[1])
		return nil, -1, fmt.Errorf("make a status socket: %w", err)
	}
	return ours, pair[1], nil
}

// connectionPair makes the connection that a kernel begins with.
func connectionPair() (ours net.Conn, theirs int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, fmt.Errorf("make a kernel's connection: %w", err)
	}
	f := os.NewFile(uintptr(pair[0]), "kernel")
	defer f.Close()
	if ours, err = net.FileConn(f); err != nil {
		unix.Close(pair[1])
		return nil, -1, fmt.Errorf("make a kernel's connection: %w", err)
	}
	return ours, pair[1], nil
}

// expect reads one packet, which is one of the bytes wanted, and returns its
// sender's process id.
func expect(status *os.File, want string) (pid int, got byte, err error) {
	message, control := make([]byte, 16), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	n, cn, err := receive(status, message, control)
	if err == nil && n == 0 {
		return 0, 0, errors.New("the zygote's child ended without a word")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("wait for the zygote's child: %w", err)
	}
	if n != 1 || !strings.ContainsRune(want, rune(message[0])) {
		return 0, 0, readForkError(message[:n])
	}
	parsed, err := unix.ParseSocketControlMessage(control[:cn])
	if err != nil {
		return 0, 0, fmt.Errorf("read who the zygote's child is: %w", err)
	}
	for _, m := range parsed {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_CREDENTIALS {
			who, err := unix.ParseUnixCredentials(&m)
			if err == nil && who.Pid > 1 {
				return int(who.Pid), message[0], nil
			}
		}
	}
	return 0, 0, errors.New("the host's kernel does not tell who the zygote's child is")
}

// receive reads one packet, with what comes beside it.
func receive(socket *os.File, message, control []byte) (n, cn int, err error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, cn, _, _, readErr = unix.Recvmsg(int(fd), message, control, unix.MSG_CMSG_CLOEXEC)
			if !errors.Is(readErr, unix.EINTR) {
				return !errors.Is(readErr, unix.EAGAIN)
			}
		}
	})
	return n, cn, errors.Join(err, readErr)
}

// openNamespaces opens the namespaces of a container's init.
func openNamespaces(pid int, names []string) (fds []int, err error) {
	for _, name := range names {
		fd, err := openNamespace(procPath(pid, "ns/"+name))
		if err != nil {
			closeAll(fds)
			return nil, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// forkOrStart makes a kernel in the way that the sandbox is for. Where a zygote
// that had worked does not any more, the kernel starts by itself.
func (p *process) forkOrStart(ctx context.Context, listener *os.File, anew bool) error {
	x := p.box
	if x.domain == nil {
		return p.start(ctx, listener)
	}
	var err error
	for range forkTries {
		var z *zygote
		if z, err = x.domain.current(ctx); err != nil {
			if x.used == 0 {
				break
			}
			continue // a kernel that starts by itself would join the namespaces of the use before
		}
		if err = p.fork(ctx, z, listener, anew); !errors.Is(err, errZygoteGone) {
			return err
		}
		z.condemn() // its end may not have been noticed yet, and the next try would meet it again
	}
	if x.used > 0 || errors.Is(err, errZygoteGone) {
		return err
	}
	x.warn(err)
	return p.start(ctx, listener)
}

var _ sandbox.Process = (*process)(nil)
