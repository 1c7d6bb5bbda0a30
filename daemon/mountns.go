package daemon

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// privateMountsMark tells the second start of the program that it is the
// second.
const privateMountsMark = "_TCID_PRIVATE_MOUNTS"

// EnterPrivateMounts moves the process into a mount namespace of its own by
// executing it again, with or without systemd around it. What the daemon mounts
// is then not seen by others and is gone when the daemon is, however it ends.
// It returns only in the second start.
func EnterPrivateMounts() error {
	if os.Getenv(privateMountsMark) != "" {
		return os.Unsetenv(privateMountsMark)
	}
	runtime.LockOSThread() // the namespace is the thread's until the exec
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a private mount namespace (tcid serve must run as root): %w", err)
	}
	// What the host mounts later is seen here; nothing goes the other way.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make the mount namespace private: %w", err)
	}
	err := unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), privateMountsMark+"=1"))
	return fmt.Errorf("execute the daemon in its mount namespace: %w", err)
}
