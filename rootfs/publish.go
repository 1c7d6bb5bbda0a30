package rootfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sweepTries = 5
	sweepPause = 100 * time.Millisecond
)

// describeImage writes the files beside the tree.
func describeImage(work string, img Image, m *manifest) error {
	info, err := json.MarshalIndent(img, "", "  ")
	if err != nil {
		return fmt.Errorf("describe the image: %w", err)
	}
	for name, content := range map[string]string{infoFile: string(info) + "\n", listFile: m.text(), useLock: ""} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), fileMode); err != nil {
			return fmt.Errorf("describe the image: %w", err)
		}
	}
	return os.Chmod(work, dirMode)
}

// publish moves a finished image to its place. The same content may be there
// already, unless somebody damaged it: then the new one takes its place.
func (s *Store) publish(ctx context.Context, digest, work string) error {
	if _, err := s.load("", digest); err == nil {
		err := s.verify(ctx, digest)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrDamaged) {
			return err
		}
	}
	if _, err := os.Lstat(s.path(imagesDir, digest)); err == nil {
		if err := s.removeImage(digest); err != nil {
			return fmt.Errorf("replace the damaged image: %w", err)
		}
	}
	// Before the image can be seen, its files must survive a loss of power.
	if err := syncAll(work); err != nil {
		return err
	}
	if err := os.Rename(work, s.path(imagesDir, digest)); err != nil {
		return err
	}
	return syncDir(s.path(imagesDir))
}

// setName makes a name stand for a digest, at once for everybody.
func (s *Store) setName(name, digest string) error {
	temp := s.path(tempDir, "name-"+name)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(digest + "\n")
	if err := errors.Join(err, f.Chmod(fileMode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, s.path(namesDir, name)); err != nil {
		return err
	}
	return syncDir(s.path(namesDir))
}

// syncAll writes out the file system that path is on: for thousands of new
// files that is faster than one at a time.
func syncAll(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(dir.Fd())), dir.Close())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// sweep removes what builds that were killed left. The caller holds the store's
// lock, as every build does to its end, so that nothing there is in use.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(s.path(tempDir))
	if err != nil {
		return fmt.Errorf("sweep old builds: %w", err)
	}
	for _, e := range entries {
		// A program that the killed build had started dies with it, but maybe a
		// moment later.
		for try := 1; ; try++ {
			err := os.RemoveAll(s.path(tempDir, e.Name()))
			if err == nil {
				break
			}
			if try == sweepTries {
				return fmt.Errorf("sweep old builds: %w", err)
			}
			time.Sleep(sweepPause)
		}
	}
	return nil
}
