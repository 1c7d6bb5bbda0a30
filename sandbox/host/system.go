package host

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System answers what no file tells.
type System interface {
	// Calls tries the system calls that the daemon can't do without, with
	// arguments that do nothing, and returns those that don't work and why.
	Calls() map[string]error
}

// thisKernel is the kernel that runs this program.
type thisKernel struct{}

func (thisKernel) Calls() map[string]error {
	refused := make(map[string]error)
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		refused["openat2"] = err
	} else {
		_ = unix.Close(fd)
	}
	if fd, err = unix.PidfdOpen(os.Getpid(), 0); err != nil {
		refused["pidfd_open"] = err
	} else {
		if err := unix.PidfdSendSignal(fd, 0, nil, 0); err != nil {
			refused["pidfd_send_signal"] = err
		}
		_ = unix.Close(fd)
	}
	// A structure of no length is refused before anything is made of it, by a
	// kernel that has the call.
	var none [8]byte
	if _, _, errno := unix.Syscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&none)), 0, 0); errno != 0 && !errors.Is(errno, unix.EINVAL) {
		refused["clone3"] = errno
	}
	return refused
}
