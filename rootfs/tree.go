package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tree is a root file system under construction. Paths called "inside" are
// those that a process in the image sees.
//
// All writing goes through an os.Root: a link in the tree, such as
// /usr/lib/ssl/certs, can never lead a write to the host's file of that name.
type tree struct {
	path string // on the host
	root *os.Root
	// sources tells where a file in the image came from; libraries are looked
	// for relative to that.
	sources map[string]string
	// libraryDirs are the directories that the image's ld.so.cache covers.
	libraryDirs map[string]bool
	packages    *packages // nil when there are none but pip
}

// newTree makes an empty root file system at path. Close it.
func newTree(path string) (*tree, error) {
	if err := os.Mkdir(path, dirMode); err != nil {
		return nil, fmt.Errorf("make the image's root: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("make the image's root: %w", err)
	}
	return &tree{path: path, root: root, sources: map[string]string{}, libraryDirs: map[string]bool{}}, nil
}

func (t *tree) Close() error { return t.root.Close() }

// relative is how os.Root wants a path.
func relative(inside string) string {
	if rel := strings.TrimPrefix(filepath.Clean(inside), "/"); rel != "" {
		return rel
	}
	return "."
}

// dir makes a directory and its parents.
func (t *tree) dir(inside string) error {
	if err := t.root.MkdirAll(relative(inside), dirMode); err != nil {
		return fmt.Errorf("make %s in the image: %w", inside, err)
	}
	return nil
}

// write makes a file, and its directory.
func (t *tree) write(inside, content string, mode fs.FileMode) error {
	if err := t.dir(filepath.Dir(inside)); err != nil {
		return err
	}
	err := t.root.WriteFile(relative(inside), []byte(content), mode)
	// The umask took part in the mode so far.
	if err := errors.Join(err, t.root.Chmod(relative(inside), mode)); err != nil {
		return fmt.Errorf("write %s in the image: %w", inside, err)
	}
	return nil
}

// link makes a symbolic link, unless there is something already. Links are
// relative, so that they stay inside whatever the image is mounted on, and for
// those who look at it from the host.
func (t *tree) link(target, inside string) error {
	inside = usrPath(inside)
	if err := t.dir(filepath.Dir(inside)); err != nil {
		return err
	}
	if filepath.IsAbs(target) {
		rel, err := filepath.Rel(filepath.Dir(inside), usrPath(target))
		if err != nil {
			return fmt.Errorf("link %s in the image: %w", inside, err)
		}
		target = rel
	}
	if err := t.root.Symlink(target, relative(inside)); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("link %s in the image: %w", inside, err)
	}
	return nil
}

func (t *tree) has(inside string) bool {
	_, err := t.root.Lstat(relative(inside))
	return err == nil
}

// remove takes away a file or a directory; it need not exist.
func (t *tree) remove(inside string) error {
	if err := t.root.RemoveAll(relative(inside)); err != nil {
		return fmt.Errorf("remove %s from the image: %w", inside, err)
	}
	return nil
}

// fixModes gives every directory, whose mode depends on the umask so far, the
// mode that directories of images have.
func (t *tree) fixModes() error {
	return filepath.WalkDir(t.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, dirMode)
	})
}

// usrPath is where a path of the host lies in an image, where /lib and the
// like are links into /usr.
func usrPath(path string) string {
	for _, top := range mergedDirs {
		if path == "/"+top || strings.HasPrefix(path, "/"+top+"/") {
			return "/usr" + path
		}
	}
	return path
}
