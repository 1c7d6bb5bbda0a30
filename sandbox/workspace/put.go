package workspace

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Limits and defaults of Put.
const (
	// DefaultMaxBytes is the largest upload when PutOptions doesn't say.
	DefaultMaxBytes = 1 << 30
	// DefaultMode is the mode of new files when PutOptions doesn't say.
	DefaultMode   fs.FileMode = 0o644
	parentMode                = 0o755
	copyChunk                 = 128 << 10 // bytes
	maxEmptyReads             = 100
	tempPrefix                = ".tcid-upload-"
)

// PutOptions say how Put writes.
type PutOptions struct {
	Mode        fs.FileMode // permission bits; the others are ignored; 0 means DefaultMode
	MaxBytes    int64       // more is ErrTooLarge; 0 means DefaultMaxBytes
	NoOverwrite bool        // an existing file is ErrExists
}

var chunks = sync.Pool{New: func() any { return new([copyChunk]byte) }}

// Put writes all that r gives to the file at name, making its parents. created
// tells that there was no such file. The file appears whole or not at all: on
// any error, the reader's included (which is wrapped), nothing is changed and
// nothing is left, new parents included. It replaces regular files only and doesn't
// write through links. r may be slow; Close of the Dir and the end of ctx are
// noticed between its reads.
func (d *Dir) Put(ctx context.Context, name string, r io.Reader, o PutOptions) (info FileInfo, created bool, err error) {
	if o.MaxBytes < 0 {
		return FileInfo{}, false, fmt.Errorf("write %q: size limit %d is negative; use 0 for the default", name, o.MaxBytes)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Mode.Perm() == 0 {
		o.Mode = DefaultMode
	}
	rel, err := CleanNew(name)
	if err != nil {
		return FileInfo{}, false, err
	}
	temp, err := d.begin(rel, o)
	if err != nil {
		return FileInfo{}, false, fail("write", rel, err)
	}
	// The file has no name until the end: closing it is enough to remove it.
	defer func() { _ = d.drop(temp) }()
	if err := d.fill(ctx, temp, rel, r, o); err != nil {
		return FileInfo{}, false, err
	}
	st, created, err := d.commit(temp, rel, o)
	if err != nil {
		return FileInfo{}, false, fail("write", rel, err)
	}
	return newInfo(rel, &st), created, nil
}

// begin refuses what can't work before a byte is read, and makes a file without
// a name in the nearest directory that exists.
func (d *Dir) begin(rel string, o PutOptions) (*os.File, error) {
	if err := d.acquire(); err != nil {
		return nil, err
	}
	defer d.release()
	temp := -1
	err := d.asOwner(func() error {
		at := newTrail(d)
		defer at.close()
		parents, base := split(rel)
		missing, err := at.walk(parents)
		if err != nil {
			return err
		}
		if missing == 0 {
			if err := at.replaceable(base, o.NoOverwrite); err != nil && !errors.Is(err, unix.ENOENT) {
				return err
			}
		}
		temp, err = openat(at.fd(), ".", unix.O_TMPFILE|unix.O_WRONLY, 0o600)
		return err
	})
	if err != nil {
		if temp >= 0 {
			unix.Close(temp)
		}
		return nil, err
	}
	return d.keep(temp, rel), nil
}

// fill copies r to temp. No descriptor is in use while r is being read, so that
// Close can end the upload.
func (d *Dir) fill(ctx context.Context, temp *os.File, rel string, r io.Reader, o PutOptions) error {
	chunk := chunks.Get().(*[copyChunk]byte)
	defer chunks.Put(chunk)
	var size int64
	for empty := 0; ; {
		if err := cancelled(ctx, "write", rel); err != nil {
			return err
		}
		n, readErr := r.Read(chunk[:])
		size += int64(n)
		if size > o.MaxBytes {
			return fmt.Errorf("write %q: %w: the limit is %d bytes; send a smaller file", rel, ErrTooLarge, o.MaxBytes)
		}
		if n > 0 {
			empty = 0
			if err := d.write(temp, chunk[:n]); err != nil {
				return fail("write", rel, err)
			}
		} else if empty++; readErr == nil && empty == maxEmptyReads {
			readErr = io.ErrNoProgress
		}
		if readErr == io.EOF {
			return nil
		}
		if readErr != nil {
			return fmt.Errorf("write %q: read the content: %w", rel, readErr)
		}
	}
}

func (d *Dir) write(temp *os.File, p []byte) error {
	if err := d.acquire(); err != nil {
		return err
	}
	defer d.release()
	_, err := temp.Write(p)
	return err
}

// commit gives temp its mode and its name.
func (d *Dir) commit(temp *os.File, rel string, o PutOptions) (st unix.Stat_t, created bool, err error) {
	if err := d.acquire(); err != nil {
		return st, false, err
	}
	defer d.release()
	fd := int(temp.Fd())
	err = d.asOwner(func() error {
		// As the owner, so that the mode can't be one that the session couldn't set.
		if err := unix.Fchmod(fd, uint32(o.Mode.Perm())); err != nil {
			return fmt.Errorf("fchmod: %w", err)
		}
		if err := unix.Fstat(fd, &st); err != nil {
			return fmt.Errorf("fstat: %w", err)
		}
		at := newTrail(d)
		defer at.close()
		parents, base := split(rel)
		if err := at.makeAll(parents); err != nil {
			return err
		}
		created, err = at.link(fd, base, o.NoOverwrite)
		if err != nil {
			at.undo()
		}
		return err
	})
	return st, created, err
}

// link names the file fd base in the trail's directory.
func (t *trail) link(fd int, base string, noOverwrite bool) (created bool, err error) {
	for range maxTries {
		err := linkFD(fd, t.fd(), base)
		if err == nil {
			return true, nil
		}
		if errors.Is(err, unix.ENOENT) {
			return false, ErrBusy // the directory itself was removed
		}
		if !errors.Is(err, unix.EEXIST) {
			return false, fmt.Errorf("linkat: %w", err)
		}
		err = t.replaceable(base, noOverwrite)
		if errors.Is(err, unix.ENOENT) {
			continue // removed meanwhile
		}
		if err != nil {
			return false, err
		}
		return false, t.replace(fd, base)
	}
	return false, ErrBusy
}

// replace renames over base. The file, complete by now, needs some name first:
// linkat doesn't replace. What the session does to that name meanwhile, it could as
// well do to base.
func (t *trail) replace(fd int, base string) error {
	temp := tempPrefix + rand.Text()
	if err := linkFD(fd, t.fd(), temp); err != nil {
		return fmt.Errorf("linkat: %w", err)
	}
	if err := unix.Renameat2(t.fd(), temp, t.fd(), base, 0); err != nil {
		_ = unix.Unlinkat(t.fd(), temp, 0)
		return fmt.Errorf("renameat2: %w", err)
	}
	return nil
}

// replaceable is nil when name is a regular file that may be replaced, ENOENT
// when there is nothing.
func (t *trail) replaceable(name string, noOverwrite bool) error {
	fd, st, err := t.dir.peek(t.fd(), name)
	if err != nil {
		return err
	}
	unix.Close(fd)
	err = kindError(st.Mode)
	if noOverwrite && !errors.Is(err, ErrIsDirectory) {
		return ErrExists
	}
	return err
}

// linkFD is linkat with AT_EMPTY_PATH, which needs a capability that the owner
// doesn't have.
func linkFD(fd, dir int, name string) error {
	return unix.Linkat(unix.AT_FDCWD, byFD(fd), dir, name, unix.AT_SYMLINK_FOLLOW)
}
