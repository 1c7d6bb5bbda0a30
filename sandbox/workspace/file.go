package workspace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxRead bounds one Read, so that Close never waits long for it. Bytes.
const maxRead = 1 << 20

// File is a regular file that is being read. It has the size that it had when
// it was opened: more is never returned, and where the session has cut it, Read
// fails with io.ErrUnexpectedEOF. Its content is not frozen. It must be closed.
type File struct {
	dir  *Dir
	f    *os.File
	info FileInfo

	mu     sync.Mutex
	offset int64
}

var _ io.ReadSeekCloser = (*File)(nil)

// Get opens a regular file for reading. It never blocks: a FIFO or device is
// refused unopened, and a file on which the session holds a lease is ErrBusy.
func (d *Dir) Get(name string) (*File, error) {
	rel, err := Clean(name)
	if err != nil {
		return nil, err
	}
	if err := d.acquire(); err != nil {
		return nil, fail("read", rel, err)
	}
	defer d.release()
	path, st, err := d.peek(d.fd, rel)
	if err != nil {
		return nil, fail("read", rel, err)
	}
	defer unix.Close(path)
	if err := kindError(st.Mode); err != nil {
		return nil, fail("read", rel, err)
	}
	// O_NONBLOCK matters for regular files too: opening one that has a write
	// lease waits for its holder, up to fs.lease-break-time (45 s).
	fd, err := unix.Open(byFD(path), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fail("read", rel, fmt.Errorf("open: %w", err))
	}
	// The size may have changed since the look-up.
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, fail("read", rel, fmt.Errorf("fstat: %w", err))
	}
	return &File{dir: d, f: d.keep(fd, rel), info: newInfo(rel, &st)}, nil
}

// Info describes the file as it was when it was opened.
func (f *File) Info() FileInfo { return f.info }

// Read reads at most 1 MiB.
func (f *File) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := f.info.Size - f.offset
	if len(p) == 0 {
		return 0, nil
	}
	if left <= 0 {
		return 0, io.EOF
	}
	if err := f.dir.acquire(); err != nil {
		return 0, fail("read", f.info.Path, err)
	}
	defer f.dir.release()
	n, err := f.f.ReadAt(p[:min(int64(len(p)), left, maxRead)], f.offset)
	f.offset += int64(n)
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF:
		return 0, fmt.Errorf("read %q: the session made the file shorter while it was read: %w", f.info.Path, io.ErrUnexpectedEOF)
	}
	return 0, fail("read", f.info.Path, err)
}

// Seek implements io.Seeker; the end is Info().Size.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += f.info.Size
	default:
		return 0, fmt.Errorf("seek in %q: whence %d is unknown; use 0, 1 or 2", f.info.Path, whence)
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek in %q: position %d is negative; use 0 or more", f.info.Path, offset)
	}
	f.offset = offset
	return offset, nil
}

// Close closes the file. It fails with ErrClosed when it was closed before, by
// itself or with its Dir.
func (f *File) Close() error {
	if err := f.dir.drop(f.f); errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close %q: %w", f.info.Path, ErrClosed)
	} else if err != nil {
		return fmt.Errorf("close %q: %w", f.info.Path, err)
	}
	return nil
}
