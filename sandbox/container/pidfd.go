package container

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pidfd is a handle of a process. Unlike a blocking wait, waiting on it costs
// no thread, of which a thousand sessions would need thousands.
type pidfd struct{ file *os.File }

// openPidfd opens a process that nobody can have reaped yet, or that is looked at
// afterwards.
func openPidfd(pid int) (*pidfd, error) {
	// Non-blocking descriptors are what Go's poller takes.
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open the pidfd of a process: %w", err)
	}
	return &pidfd{os.NewFile(uintptr(fd), fmt.Sprintf("pidfd:%d", pid))}, nil
}

// wait returns when the process has ended; it is not reaped by that. An error
// means that nothing is known.
func (p *pidfd) wait() error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for a process: %w", err)
	}
	var waitErr error
	err = raw.Read(func(fd uintptr) bool {
		var info unix.Siginfo
		waitErr = unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		switch {
		case errors.Is(waitErr, unix.EINTR), errors.Is(waitErr, unix.EAGAIN):
			return false // not yet: come back when the descriptor is readable
		case waitErr != nil:
			return true
		}
		return info.Signo != 0
	})
	return errors.Join(err, waitErr)
}

// ended returns when the process has ended, whoever's child it is.
func (p *pidfd) ended() {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return // closed
	}
	_ = raw.Read(readable)
}

// hasEnded tells whether the process has ended, whoever's child it is.
func (p *pidfd) hasEnded() bool {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return true // closed
	}
	over := true
	_ = raw.Control(func(fd uintptr) { over = readable(fd) })
	return over
}

// readable tells whether a pidfd's process has ended.
func readable(fd uintptr) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
}

// signal sends a signal. A process that has ended is no error.
func (p *pidfd) signal(sig unix.Signal, flags int) error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return nil // closed: the process was reaped
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) { sendErr = unix.PidfdSendSignal(int(fd), sig, nil, flags) })
	if err != nil || errors.Is(sendErr, unix.ESRCH) {
		return nil // as above
	}
	return sendErr
}

// reaped tells whether the process is gone, so that its pid may be another's.
func (p *pidfd) reaped() bool {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return true
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) { sendErr = unix.PidfdSendSignal(int(fd), 0, nil, 0) })
	return err != nil || sendErr != nil
}

func (p *pidfd) close() { _ = p.file.Close() }

// awaitExit waits for a child without holding a thread, where that is possible.
// The caller reaps it.
func awaitExit(pid int) {
	p, err := openPidfd(pid)
	if err != nil {
		return // the caller's blocking wait does it
	}
	defer p.close()
	_ = p.wait() // likewise
}
