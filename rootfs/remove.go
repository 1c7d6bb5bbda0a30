package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Remove takes a name away, and its image with it when no other name stands
// for that. An image that is in use stays, and so does its name: the error
// wraps ErrInUse.
func (s *Store) Remove(ctx context.Context, name string) error {
	if isDigest(name) {
		return fmt.Errorf("remove image %s: give its name, not its digest", name)
	}
	unlock, err := s.lock(ctx, nil)
	if err != nil {
		return err
	}
	defer unlock()
	names, err := s.names()
	if err != nil {
		return err
	}
	digest, known := names[name]
	if !known {
		return s.unknown(name)
	}
	delete(names, name)
	last := digest != "" && !slices.Contains(slices.Collect(maps.Values(names)), digest)
	// The name goes first, and the image only when it is free: after a crash
	// in between, the image is one that the next build removes.
	var lock *os.File
	if last {
		if lock, err = s.lockForRemoval(digest); err != nil {
			return fmt.Errorf("remove image %s: %w", name, err)
		}
	}
	if lock != nil {
		defer lock.Close()
	}
	if err := os.Remove(s.path(namesDir, name)); err != nil {
		return fmt.Errorf("remove image %s: %w", name, err)
	}
	if lock == nil {
		return nil
	}
	if err := s.discard(digest); err != nil {
		return fmt.Errorf("remove image %s: %w", name, err)
	}
	return nil
}

// Prune removes images that have no name and no user, and returns their
// digests.
func (s *Store) Prune(ctx context.Context) (removed []string, err error) {
	unlock, err := s.lock(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.prune()
}

func (s *Store) prune() (removed []string, err error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.path(imagesDir))
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	named := slices.Collect(maps.Values(names))
	for _, e := range entries {
		digest := e.Name()
		if !isDigest(digest) || slices.Contains(named, digest) {
			continue
		}
		switch err := s.removeImage(digest); {
		case errors.Is(err, ErrInUse):
		case err != nil:
			return removed, fmt.Errorf("remove image %s: %w", digest, err)
		default:
			removed = append(removed, digest)
		}
	}
	return removed, nil
}

// removeImage removes an image's directory, unless somebody uses it. The caller
// holds the store's lock.
func (s *Store) removeImage(digest string) error {
	lock, err := s.lockForRemoval(digest)
	if err != nil {
		return err
	}
	if lock != nil {
		defer lock.Close()
	}
	return s.discard(digest)
}

// lockForRemoval returns nil without an error for an image that nobody can use,
// since it has no lock file.
func (s *Store) lockForRemoval(digest string) (*os.File, error) {
	lock, err := s.use(digest, unix.LOCK_EX)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, fmt.Errorf("%w: close the sessions that run on it first", ErrInUse)
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil //nolint:nilnil // as the comment says
	case err != nil:
		return nil, fmt.Errorf("lock the image: %w", err)
	}
	return lock, nil
}

// discard takes an image out of sight at once, and then away. What a crash
// leaves in tmp is swept by the next build.
func (s *Store) discard(digest string) error {
	gone := s.path(tempDir, "gone-"+digest)
	if err := os.RemoveAll(gone); err != nil { // left by a crash
		return err
	}
	if err := os.Rename(s.path(imagesDir, digest), gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(gone)
}
