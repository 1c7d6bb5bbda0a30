package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	socketMode     = 0o660
	staleDialLimit = 2 * time.Second
)

// listenUnix binds the API's Unix socket: for root, and for the group tcid
// where the host has it. A socket that a dead daemon left is replaced.
func listenUnix(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// Nobody may connect before the mode and the group are right, so the
	// socket is made for root alone.
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on the Unix socket %s: %w", path, err)
	}
	if g, err := user.LookupGroup(DefaultGroup); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil {
			if err := os.Chown(path, -1, gid); err != nil {
				return nil, errors.Join(fmt.Errorf("give the socket to the group %s: %w", DefaultGroup, err), l.Close())
			}
		}
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("set the socket's mode: %w", err), l.Close())
	}
	return l, nil
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the Unix socket: %w", err)
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is not a socket; choose another --socket", path)
	}
	if c, err := net.DialTimeout("unix", path, staleDialLimit); err == nil {
		_ = c.Close()
		return fmt.Errorf("another program listens on %s; stop it, or choose another --socket", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the socket that an earlier daemon left: %w", err)
	}
	return nil
}

// lockState takes the lock on the state directory, which one daemon holds at a
// time.
func lockState(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the daemon's lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another daemon uses the state directory %s; stop it, or choose another --state-dir", dir)
		}
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	return f, nil
}
