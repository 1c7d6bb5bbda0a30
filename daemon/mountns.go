package daemon

import (
	"fmt"
	"os"
	"runtime"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tcid/sandbox/container"
)

// privateMountsMark tells the second start of the program that it is the
// second.
const privateMountsMark = "_TCID_PRIVATE_MOUNTS"

// EnterPrivateMounts moves the process into a mount namespace of its own by
// executing it again, with or without systemd around it. What the daemon mounts
// is then not seen by others and is gone when the daemon is, however it ends.
// What starts containers, in the place of the whole program, lies in the data
// directory. It returns only in the second start.
func EnterPrivateMounts(dataDir string, log *zap.Logger) error {
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
	program, err := placeStarter(dataDir)
	if err != nil {
		log.Warn("could not place the program that starts containers", zap.Error(err))
		program = "/proc/self/exe"
	}
	err = unix.Exec(program, os.Args, append(os.Environ(), privateMountsMark+"=1"))
	return fmt.Errorf("execute the daemon in its mount namespace: %w", err)
}

func placeStarter(dataDir string) (program string, err error) {
	if err := os.MkdirAll(dataDir, dataDirMode); err != nil {
		return "", fmt.Errorf("make the data directory: %w", err)
	}
	return container.PlaceStarter(dataDir)
}
