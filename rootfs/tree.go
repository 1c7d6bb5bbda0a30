package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is a root file system under construction.
type tree struct {
	root string
	// sources tells where a file in the image came from; libraries are looked
	// for relative to that.
	sources map[string]string
}

func (t *tree) path(inside string) string { return filepath.Join(t.root, inside) }

// dir makes a directory and its parents.
func (t *tree) dir(inside string) error {
	if err := os.MkdirAll(t.path(inside), 0o755); err != nil {
		return fmt.Errorf("make %s: %w", inside, err)
	}
	return nil
}

func (t *tree) write(inside, content string, mode fs.FileMode) error {
	if err := t.dir(filepath.Dir(inside)); err != nil {
		return err
	}
	if err := os.WriteFile(t.path(inside), []byte(content), mode); err != nil {
		return fmt.Errorf("write %s: %w", inside, err)
	}
	return os.Chmod(t.path(inside), mode)
}

// link makes a symbolic link, unless there is something already.
func (t *tree) link(target, inside string) error {
	if err := t.dir(filepath.Dir(inside)); err != nil {
		return err
	}
	if err := os.Symlink(target, t.path(inside)); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("link %s: %w", inside, err)
	}
	return nil
}

func (t *tree) has(inside string) bool {
	_, err := os.Lstat(t.path(inside))
	return err == nil
}

// file copies a file of the host, through symbolic links, unless there is one
// already. Its mode becomes a+r, a+x where somebody could execute it, and
// nothing else: no set-id bits, no writing by others.
func (t *tree) file(source, inside string) error {
	if t.has(inside) {
		return nil
	}
	if err := t.dir(filepath.Dir(inside)); err != nil {
		return err
	}
	in, err := os.OpenFile(source, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("copy into the image: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("copy into the image: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("copy into the image: %s is not a regular file", source)
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	out, err := os.OpenFile(t.path(inside), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("copy into the image: %w", err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Chmod(mode), out.Close()); err != nil {
		return fmt.Errorf("copy %s into the image: %w", source, err)
	}
	// Compiled modules hold their source's time, and are valid only with it.
	if err := os.Chtimes(t.path(inside), info.ModTime(), info.ModTime()); err != nil {
		return fmt.Errorf("copy %s into the image: %w", source, err)
	}
	t.sources[inside] = source
	return nil
}

// copyDir copies a directory of the host. Links that stay inside are kept;
// others are followed when they lead to a file, and skipped when broken. skip
// gets paths relative to source.
func (t *tree) copyDir(ctx context.Context, source, inside string, skip func(rel string, dir bool) bool) error {
	return filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("copy into the image: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		rel, _ := filepath.Rel(source, path)
		if rel != "." && skip != nil && skip(rel, d.IsDir()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		target := filepath.Join(inside, rel)
		switch {
		case d.IsDir():
			return t.dir(target)
		case d.Type()&fs.ModeSymlink != 0:
			return t.copyLink(source, path, target)
		case d.Type().IsRegular():
			return t.file(path, target)
		}
		return nil // sockets, FIFOs, devices
	})
}

func (t *tree) copyLink(base, path, inside string) error {
	to, err := os.Readlink(path)
	if err != nil {
		return fmt.Errorf("copy into the image: %w", err)
	}
	if !filepath.IsAbs(to) {
		rel, err := filepath.Rel(base, filepath.Join(filepath.Dir(path), to))
		if err == nil && filepath.IsLocal(rel) {
			return t.link(to, inside)
		}
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil //nolint:nilerr // a broken link, or one to a directory elsewhere, is left out
	}
	return t.file(path, inside)
}

// usrPath is where a path of the host lies in an image, where /lib and the
// like are links into /usr.
func usrPath(path string) string {
	for _, top := range []string{"/lib", "/lib64", "/bin", "/sbin"} {
		if path == top || strings.HasPrefix(path, top+"/") {
			return "/usr" + path
		}
	}
	return path
}
