package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"tcid/api/client"
)

// newFileMode is what the umask is taken from, as cp does it. A session's
// file is untrusted and never becomes executable by itself.
const newFileMode = 0o666

// download copies a session's file to a local one, whole or not at all.
func download(ctx context.Context, c *client.Client, id, remote, local string) error {
	body, err := c.Download(ctx, id, remote)
	if err != nil {
		return err
	}
	defer body.Close()
	if local == "-" || local == "/dev/stdout" {
		// Not opened: it may be a file that others have written to before.
		return copyAll(ctx, os.Stdout, body)
	}
	target, special, err := downloadTarget(local, path.Base(remote))
	if err != nil {
		return usageError{err}
	}
	if special {
		return copyInto(ctx, target, os.O_WRONLY, body)
	}
	// Beside the target and renamed, so that no part of a file is left.
	temp := filepath.Join(filepath.Dir(target), ".tcid-"+rand.Text())
	defer os.Remove(temp)
	if err := copyInto(ctx, temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, body); err != nil {
		return err
	}
	if err := os.Rename(temp, target); err != nil {
		return usageError{err}
	}
	return nil
}

// downloadTarget finds the file that local stands for: one of the name base if
// it is a directory, what it leads to if it is a link. A special file, such as a
// pipe, is written to, since root's rename would replace it.
func downloadTarget(local, base string) (target string, special bool, err error) {
	info, err := os.Stat(local)
	if err == nil && info.IsDir() {
		local = filepath.Join(local, base)
		info, err = os.Stat(local)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return local, false, nil
	case err != nil:
		return "", false, err
	case info.IsDir():
		return "", false, fmt.Errorf("%s is a directory", local)
	case !info.Mode().IsRegular():
		return local, true, nil
	}
	target, err = filepath.EvalSymlinks(local)
	return target, false, err
}

func copyInto(ctx context.Context, name string, flag int, from io.Reader) error {
	f, err := os.OpenFile(name, flag, newFileMode)
	if err != nil {
		return usageError{err}
	}
	return errors.Join(copyAll(ctx, f, from), f.Close())
}

func copyAll(ctx context.Context, to io.Writer, from io.Reader) error {
	_, err := io.Copy(to, from)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	return nil
}
