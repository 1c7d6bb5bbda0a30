package workspace

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxRemoveSteps bounds the work of one Remove, which a session could otherwise
// prolong for ever by making files as fast as they are removed.
const maxRemoveSteps = 1 << 20

// removedPrefix names directories that are moved up to be removed.
const removedPrefix = ".tcid-remove-"

// Remove removes a file, link, FIFO or directory; a directory that isn't empty
// only when recursive is set, else it is ErrNotEmpty. Links are removed, never
// followed. What is mounted on a directory is detached by the kernel, not emptied.
// The workspace itself is refused. When Remove fails half-way, for
// instance with ErrBusy because the session keeps changing the tree, a part is
// gone; it may be called again.
func (d *Dir) Remove(name string, recursive bool) error {
	rel, err := Clean(name)
	if err != nil {
		return err
	}
	if rel == "." {
		return invalid(name, "the workspace itself can't be removed; name something in it")
	}
	if err := d.acquire(); err != nil {
		return fail("remove", rel, err)
	}
	defer d.release()
	at := newTrail(d)
	defer at.close()
	parents, base := split(rel)
	missing, err := at.walk(parents)
	if err != nil {
		return fail("remove", rel, err)
	}
	if missing > 0 {
		return fail("remove", rel, ErrNotFound)
	}
	r := &remover{dir: d, left: maxRemoveSteps}
	err = r.entry(at.fd(), base)
	if errors.Is(err, unix.ENOTEMPTY) && recursive {
		err = r.tree(at.fd(), base)
	}
	if err != nil {
		return fail("remove", rel, err)
	}
	return nil
}

type remover struct {
	dir  *Dir
	left int
}

// level is a directory that is being emptied.
type level struct {
	f    *os.File
	name string
	full []string // subdirectories seen that weren't empty
}

// entry removes one name of a directory: ENOTEMPTY for a full directory.
func (r *remover) entry(dir int, name string) error {
	if r.left--; r.left < 0 {
		return ErrBusy
	}
	err := unix.Unlinkat(dir, name, 0)
	if errors.Is(err, unix.EISDIR) {
		err = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	}
	if errors.Is(err, unix.ENOTDIR) {
		return ErrBusy // replaced between the two calls
	}
	return err
}

// tree empties and removes the directory name of dir. It uses at most MaxDepth
// descriptors: what lies deeper is moved up, since a session can nest directories as deep as
// it has inodes.
func (r *remover) tree(dir int, name string) error {
	var levels []*level
	defer func() {
		for _, l := range levels {
			l.f.Close()
		}
	}()
	parent := func() int {
		if len(levels) == 0 {
			return dir
		}
		return int(levels[len(levels)-1].f.Fd())
	}
	for next := name; ; {
		err := r.entry(parent(), next)
		if errors.Is(err, unix.ENOTEMPTY) {
			var l *level
			if l, err = r.enter(parent(), next); err == nil {
				levels = append(levels, l)
			}
		}
		if err != nil && !gone(err) {
			return err
		}
		if len(levels) == 0 {
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return ErrBusy // something else is there now
			}
			return nil
		}
		here, up := levels[len(levels)-1], -1
		if len(levels) == MaxDepth {
			up = int(levels[0].f.Fd())
		}
		done := false
		for len(here.full) == 0 && !done {
			if done, err = r.sweep(here, up); err != nil {
				return err
			}
		}
		if n := len(here.full); n > 0 {
			next, here.full = here.full[n-1], here.full[:n-1]
		} else {
			next = here.name
			here.f.Close()
			levels = levels[:len(levels)-1]
		}
	}
}

// gone: what was to be removed isn't there any more, or not as it was. The next
// sweep of its directory sees.
func gone(err error) bool {
	return isAny(err, unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EXDEV)
}

func (r *remover) enter(dir int, name string) (*level, error) {
	fd, err := r.dir.openDir(dir, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return &level{f: os.NewFile(uintptr(fd), name), name: name}, nil
}

// sweep removes a batch of entries. Full subdirectories are moved to the
// directory up if that is given, else remembered. done tells that there were no
// more entries.
func (r *remover) sweep(l *level, up int) (done bool, err error) {
	if r.dir.closing() {
		return false, ErrClosed
	}
	names, err := l.f.Readdirnames(nameBatch)
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("read directory: %w", err)
	}
	for _, name := range names {
		err := r.entry(int(l.f.Fd()), name)
		if errors.Is(err, unix.ENOTEMPTY) && up >= 0 {
			err = r.moveUp(l, name, up)
		} else if errors.Is(err, unix.ENOTEMPTY) {
			l.full = append(l.full, name)
			continue
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return false, err
		}
	}
	return len(names) == 0, nil
}

// moveUp moves a full subdirectory of l to up, which gets swept again, because it
// isn't empty then. Moving is done as the session (see the package comment), who may have
// taken its own rights away.
func (r *remover) moveUp(l *level, name string, up int) error {
	child, err := r.dir.openDir(int(l.f.Fd()), name, unix.O_RDONLY)
	if err != nil {
		if gone(err) {
			return nil
		}
		return err
	}
	defer unix.Close(child)
	for _, fd := range []int{up, int(l.f.Fd()), child} {
		if err := unix.Fchmod(fd, 0o700); err != nil {
			return fmt.Errorf("fchmod: %w", err)
		}
	}
	err = r.dir.asOwner(func() error {
		return unix.Renameat2(int(l.f.Fd()), name, up, removedPrefix+rand.Text(), unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) {
		return ErrBusy // the session moved the tree into itself
	}
	return err
}
