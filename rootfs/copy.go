package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Modes of everything in an image. There is nothing secret in it, and nobody
// may write to it.
const (
	dirMode     fs.FileMode = 0o755
	programMode fs.FileMode = 0o755
	fileMode    fs.FileMode = 0o644
	executeBits fs.FileMode = 0o111
)

// file copies a file of the host, through symbolic links, unless there is one
// already. Its mode becomes a+r, a+x where somebody could execute it, and
// nothing else: no set-id bits, no file capabilities, no writing by others.
func (t *tree) file(source, inside string) error {
	inside = usrPath(inside)
	if t.has(inside) {
		return nil
	}
	if err := t.dir(filepath.Dir(inside)); err != nil {
		return err
	}
	// Opening a FIFO would wait for a writer.
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
	mode := fileMode
	if info.Mode()&executeBits != 0 {
		mode = programMode
	}
	out, err := t.root.OpenFile(relative(inside), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("copy into the image: %w", err)
	}
	_, err = io.Copy(out, in) // copy_file_range where the file system can
	if err := errors.Join(err, out.Chmod(mode), out.Close()); err != nil {
		return fmt.Errorf("copy %s into the image: %w", source, err)
	}
	// Compiled modules hold their source's time, and are valid only with it.
	if err := t.root.Chtimes(relative(inside), info.ModTime(), info.ModTime()); err != nil {
		return fmt.Errorf("copy %s into the image: %w", source, err)
	}
	t.sources[inside] = source
	return nil
}

// copyDir copies a directory of the host. Links that stay inside are kept;
// others are followed when they lead to a file, and left out when they don't.
// skip, which may be nil, gets paths relative to source.
func (t *tree) copyDir(ctx context.Context, source, inside string, skip func(rel string, dir bool) bool) error {
	// WalkDir does not follow a link at its start.
	source, err := filepath.EvalSymlinks(source)
	if err != nil {
		return fmt.Errorf("copy into the image: %w", err)
	}
	return filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("copy into the image: %w", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rel, err := filepath.Rel(source, path)
		if err != nil {
			return fmt.Errorf("copy into the image: %w", err)
		}
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
