package workspace

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Dir is a workspace. Its methods may be called from any goroutine.
type Dir struct {
	fd       int    // O_PATH
	dev      uint64 // st_dev of the one file system that is looked at
	uid, gid int

	mu      sync.Mutex
	closed  bool
	running int           // calls that use descriptors right now
	idle    chan struct{} // closed when closed is true and running is 0
	open    map[*os.File]struct{}
}

// Open takes a handle of the workspace at path. It must be called before
// hostile code can change the path. New files get the host ids uid and gid,
// and are made with the rights of these ids; the daemon must be root unless they are
// its own.
func Open(path string, uid, gid int) (*Dir, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open workspace %q: %w", path, err)
	}
	defer unix.Close(fd)
	return OpenFD(fd, uid, gid)
}

// OpenFD is Open for a directory that is open already. It makes a descriptor
// of its own; fd stays the caller's.
func OpenFD(fd int, uid, gid int) (*Dir, error) {
	if uid < 0 || gid < 0 {
		return nil, fmt.Errorf("open workspace: user %d, group %d: ids must not be negative", uid, gid)
	}
	own, err := openat(fd, ".", unix.O_PATH|unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.ENOSYS) {
		return nil, fmt.Errorf("open workspace: openat2: %w; Linux 5.6 or newer is needed", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open workspace: openat2: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(own, &st); err != nil {
		unix.Close(own)
		return nil, fmt.Errorf("open workspace: fstat: %w", err)
	}
	return &Dir{
		fd: own, dev: st.Dev, uid: uid, gid: gid,
		idle: make(chan struct{}), open: make(map[*os.File]struct{}),
	}, nil
}

// Close gives the workspace up. New calls, running uploads and files that are
// still open fail with ErrClosed. It waits for calls that are inside the file
// system, which is short, and never for an upload's reader. When it has
// returned, nothing of this Dir keeps the tmpfs alive. Closing again does nothing.
func (d *Dir) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		<-d.idle
		return nil
	}
	d.closed = true
	if d.running == 0 {
		d.end()
	}
	d.mu.Unlock()
	<-d.idle
	return nil
}

// acquire begins a call that uses descriptors. Each acquire without an error
// needs a release.
func (d *Dir) acquire() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	d.running++
	return nil
}

func (d *Dir) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	if d.closed && d.running == 0 {
		d.end()
	}
}

// end closes every descriptor. The caller holds mu, no call is running.
func (d *Dir) end() {
	for f := range d.open {
		f.Close()
	}
	d.open = nil
	unix.Close(d.fd)
	close(d.idle)
}

// closing tells long calls to stop.
func (d *Dir) closing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// keep lets a file outlive the call that opened it, at most until Close. The
// caller has acquired.
func (d *Dir) keep(fd int, name string) *os.File {
	f := os.NewFile(uintptr(fd), name)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[f] = struct{}{}
	return f
}

// drop closes a kept file.
func (d *Dir) drop(f *os.File) error {
	d.mu.Lock()
	_, ok := d.open[f]
	delete(d.open, f)
	d.mu.Unlock()
	if !ok {
		return os.ErrClosed
	}
	return f.Close()
}
