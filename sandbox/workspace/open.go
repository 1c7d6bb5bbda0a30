package workspace

import (
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// resolve keeps every lookup inside the directory and its file system.
const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV

// maxTries bounds how often a lookup that lost a race is repeated.
const maxTries = 32

// openat opens a path below dir. The error is an errno: ELOOP for a link,
// EXDEV for another mount. With O_PATH and O_NOFOLLOW a link in the last place
// is opened itself.
func openat(dir int, path string, flags int, mode uint32) (int, error) {
	how := safely(unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Mode: uint64(mode), Resolve: resolve})
	for try := 1; ; try++ {
		fd, err := unix.Openat2(dir, path, &how)
		switch err {
		case unix.EAGAIN, unix.EINTR, unix.EXDEV:
			// EXDEV: another mount, but also a directory that was moved away
			// while it was looked up, since it is not beneath dir then.
			if try < maxTries {
				runtime.Gosched()
				continue
			}
		}
		return fd, err
	}
}

// peek returns an O_PATH descriptor of whatever is at path, and what it is.
// Opening it has no effect on a FIFO, device, socket or lease. A thing that
// lies on another file system is EXDEV.
func (d *Dir) peek(dir int, path string) (int, unix.Stat_t, error) {
	var st unix.Stat_t
	fd, err := openat(dir, path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, st, err
	}
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, st, err
	}
	if elsewhere(st.Dev, d.dev) {
		unix.Close(fd)
		return -1, st, unix.EXDEV
	}
	return fd, st, nil
}

// openDir opens a directory with the given access: O_PATH to look things up in
// it, O_RDONLY to list it.
func (d *Dir) openDir(dir int, path string, access int) (int, error) {
	// Without O_NOFOLLOW a link gives ELOOP; with it, a misleading ENOTDIR.
	// O_DIRECTORY fails on a FIFO or device before that is opened.
	fd, err := openat(dir, path, access|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if elsewhere(st.Dev, d.dev) {
		unix.Close(fd)
		return -1, unix.EXDEV
	}
	return fd, nil
}

// byFD names an open descriptor as a path, for calls that only take paths. The
// kernel resolves it to the same inode, whatever happened to its name.
func byFD(fd int) string { return "/proc/thread-self/fd/" + strconv.Itoa(fd) }

// kindError says why something of that mode can't be transferred as a file; nil
// for a regular file.
func kindError(mode uint32) error {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		return ErrIsDirectory
	case unix.S_IFLNK:
		return ErrLink
	}
	return ErrNotRegular
}
