package container

import (
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// raiser switches loopback interfaces on. It has a thread of its own, which enters
// network namespaces and comes back: one that is made for each would take longer
// than all it does.
type raiser struct {
	once sync.Once
	asks chan raise
	err  error // why there is no thread
}

type raise struct {
	pid    int
	result chan error
}

var loopback raiser

// raiseLoopback switches the loopback interface of a process's network namespace
// on. A session and its zygote lack the capability for that.
func raiseLoopback(pid int) error {
	r := &loopback
	r.once.Do(func() {
		r.asks = make(chan raise)
		ready := make(chan error)
		go r.serve(ready)
		r.err = <-ready
	})
	if r.err != nil {
		return r.err
	}
	ask := raise{pid, make(chan error, 1)}
	r.asks <- ask
	return <-ask.result
}

// serve answers until the program ends. A thread that can't come back from a
// namespace must not be used for anything else: it ends with its goroutine, and
// another takes its place.
func (r *raiser) serve(ready chan<- error) {
	runtime.LockOSThread()
	home, err := openNamespace("/proc/thread-self/ns/net")
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
