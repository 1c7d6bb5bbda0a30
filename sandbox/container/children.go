package container

import (
	"strconv"
	"strings"
	"time"

	"tcid/sandbox"
)

// noteExit passes on how a kernel ended. Other children the zygote should not
// have: what it says of them is dropped, since their ids may be used again.
func (z *zygote) noteExit(pid int, exit sandbox.Exit) {
	z.mu.Lock()
	defer z.mu.Unlock()
	select {
	case z.kernels[pid] <- exit:
	default:
	}
}

// expect says that a process is a kernel, before it can end unseen. Each call
// has its forget.
func (z *zygote) expect(pid int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.kernels[pid] = make(chan sandbox.Exit, 1)
}

func (z *zygote) forget(pid int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.kernels, pid)
}

// exit is how a kernel that has ended did so, as far as the zygote tells.
func (z *zygote) exit(pid int) sandbox.Exit {
	z.mu.Lock()
	told := z.kernels[pid]
	z.mu.Unlock()
	defer z.forget(pid)
	select {
	case exit := <-told:
		return exit
	case <-z.gone:
	case <-time.After(exitTimeout):
	}
	return sandbox.Exit{Code: -1}
}

// leaves tells whether a kernel has ended wholly and only waits to be reaped by
// the zygote, which should take no time.
func (z *zygote) leaves(kernel int) bool {
	for look := range 2 {
		if look > 0 {
			time.Sleep(reapTime)
		}
		s, err := readStatus(kernel)
		if err != nil || !strings.HasPrefix(s["State"], "Z") || s["Threads"] != "1" || s["PPid"] != strconv.Itoa(z.c.initPid) {
			return false
		}
	}
	return true
}

// retire ends a zygote once its last child is gone: until then it is the one who
// reaps them, without which their namespaces can't end.
func (z *zygote) retire() {
	z.mu.Lock()
	z.retired = true
	last := z.alive == 0
	z.mu.Unlock()
	if last {
		z.stop()
	}
}

// expectChild keeps the zygote from ending before childEnded is called.
func (z *zygote) expectChild() {
	z.mu.Lock()
	z.alive++
	z.mu.Unlock()
}

// childEnded is called once for each fork, when its kernel has ended or it failed.
func (z *zygote) childEnded() {
	z.mu.Lock()
	z.alive--
	last := z.retired && z.alive == 0
	z.mu.Unlock()
	if last {
		z.stop()
	}
}
