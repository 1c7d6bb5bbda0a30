package container

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// raiser switches loopback interfaces on: sessions and zygotes lack the capability
// for that. It has a thread of its own, which enters network namespaces and comes
// back: one that is made for each would take longer than all that it does.
type raiser struct{ asks chan raise }

type raise struct {
	pid    int
	result chan error
}

func newRaiser() (*raiser, error) {
	r, ready := &raiser{asks: make(chan raise)}, make(chan error, 1)
	go r.serve(ready)
	return r, <-ready
}

// raise switches the loopback interface of a process's network namespace on.
func (r *raiser) raise(pid int) error {
	ask := raise{pid, make(chan error, 1)}
	r.asks <- ask
	return <-ask.result
}

func (r *raiser) close() { close(r.asks) }

// serve answers until close is called. A thread that can't come back from a
// namespace must not be used for anything else: it ends with its goroutine, and
// another takes its place.
func (r *raiser) serve(ready chan<- error) {
	runtime.LockOSThread()
	home, err := openNamespace("/proc/self/ns/net") // the main thread's: this one has just come to be
	ready <- err
	if err != nil {
		return
	}
	defer unix.Close(home)
	for ask := range r.asks {
		err := raiseOf(ask.pid)
		back := unix.Setns(home, unix.CLONE_NEWNET)
		ask.result <- err
		if back != nil {
			go r.serve(make(chan error, 1))
			return
		}
	}
	runtime.UnlockOSThread()
}

func raiseOf(pid int) error {
	ns, err := openNamespace(procPath(pid, "ns/net"))
	if err != nil {
		return err
	}
	defer unix.Close(ns)
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("raise the loopback interface: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("raise the loopback interface: %w", err)
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("raise the loopback interface: %w", err)
	}
	return nil
}

func openNamespace(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the namespace %s: %w", path, err)
	}
	return fd, nil
}
