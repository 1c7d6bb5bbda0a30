package workspace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// trail is a walk from the workspace downwards, one directory at a time. It
// keeps the descriptors of all of them, so that what it made can be undone
// without looking anything up again.
type trail struct {
	dir  *Dir
	fds  []int
	made []madeDir
}

type madeDir struct {
	parent int
	name   string
}

func newTrail(d *Dir) *trail { return &trail{dir: d} }

// fd is the directory that was reached.
func (t *trail) fd() int {
	if len(t.fds) == 0 {
		return t.dir.fd
	}
	return t.fds[len(t.fds)-1]
}

func (t *trail) close() {
	for _, fd := range t.fds {
		unix.Close(fd)
	}
	t.fds = nil
}

// walk goes down as far as the directories exist and returns how many don't.
func (t *trail) walk(parts []string) (missing int, err error) {
	for i, part := range parts {
		fd, err := t.dir.openDir(t.fd(), part, unix.O_PATH)
		if errors.Is(err, unix.ENOENT) {
			return len(parts) - i, nil
		}
		if err != nil {
			return 0, err
		}
		t.fds = append(t.fds, fd)
	}
	return 0, nil
}

// makeAll goes down and makes the directories that don't exist. On an error
// none of them is left.
func (t *trail) makeAll(parts []string) error {
	for range maxTries {
		missing, err := t.walk(parts)
		if err != nil {
			return err
		}
		err = t.make(parts[len(parts)-missing:])
		if err == nil {
			return nil
		}
		t.undo()
		t.close()
		// EEXIST: another upload or the session was faster. ENOENT: a directory
		// of the trail was removed. Both are worth another look.
		if !isAny(err, unix.EEXIST, unix.ENOENT) {
			return err
		}
	}
	return ErrBusy
}

func (t *trail) make(parts []string) error {
	for _, part := range parts {
		parent := t.fd()
		if err := unix.Mkdirat(parent, part, parentMode); err != nil {
			return err
		}
		t.made = append(t.made, madeDir{parent, part})
		fd, err := t.dir.openDir(parent, part, unix.O_RDONLY)
		if err != nil {
			return err
		}
		t.fds = append(t.fds, fd)
		// The daemon's umask may have taken bits away. Should the session have
		// put another directory there, this is what it could do itself.
		if err := unix.Fchmod(fd, parentMode); err != nil {
			return fmt.Errorf("fchmod the new directory %q: %w", part, err)
		}
	}
	return nil
}

// undo removes the directories that were made, unless somebody has put
// something into them.
func (t *trail) undo() {
	for i := len(t.made) - 1; i >= 0; i-- {
		_ = unix.Unlinkat(t.made[i].parent, t.made[i].name, unix.AT_REMOVEDIR)
	}
	t.made = nil
}
