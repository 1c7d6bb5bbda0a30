package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// meter keeps a cgroup's files open that are read before and after each
// execution: finding them takes longer than reading them.
type meter struct {
	mu    sync.Mutex
	files map[string]int // descriptors by path; nil once closed
}

func newMeter() *meter { return &meter{files: map[string]int{}} }

// open returns a descriptor. release closes it where it is not kept: after close,
// or when there would soon be no more to be had.
func (m *meter) open(path string, flags int) (fd int, release func(), err error) {
	keep := func() {}
	if fd, ok := m.files[path]; ok {
		return fd, keep, nil
	}
	fd, err = unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if m.files == nil || fd > maxKept() {
		return fd, func() { unix.Close(fd) }, nil
	}
	m.files[path] = fd
	return fd, keep, nil
}

// maxKept is the highest descriptor that is kept: half of those that the daemon
// may have are for all else.
var maxKept = sync.OnceValue(func() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(limit.Cur / 2)
})

// read returns what a file says now.
func (m *meter) read(dir, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Join(dir, name)
	flags := unix.O_RDONLY
	if name == peakFile {
		flags = unix.O_RDWR // it is reset, too
	}
	fd, release, err := m.open(path, flags)
	if err != nil {
		return nil, err
	}
	defer release()
	buf := make([]byte, onePiece)
	n, err := unix.Pread(fd, buf, 0)
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: path, Err: err}
	}
	if n == len(buf) {
		return nil, fmt.Errorf("read %s: it is longer than %d bytes", path, onePiece)
	}
	return buf[:n], nil
}

func (m *meter) write(dir, name, text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Join(dir, name)
	fd, release, err := m.open(path, unix.O_RDWR)
	if err != nil {
		return err
	}
	defer release()
	if _, err := unix.Pwrite(fd, []byte(text), 0); err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

func (m *meter) number(dir, name string) (int64, error) {
	b, err := m.read(dir, name)
	if err != nil {
		return 0, fmt.Errorf("read usage: %w", err)
	}
	return parseNumber(b, name)
}

func parseNumber(b []byte, name string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read usage: %s: %w", name, err)
	}
	return n, nil
}

// keys reads a file of "key number" lines.
func (m *meter) keys(dir, name string) (map[string]int64, error) {
	b, err := m.read(dir, name)
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	keys := make(map[string]int64)
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); ok && err == nil {
			keys[key] = n
		}
	}
	return keys, nil
}

func (m *meter) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, fd := range m.files {
		errs = append(errs, unix.Close(fd))
	}
	m.files = nil
	return errors.Join(errs...)
}
