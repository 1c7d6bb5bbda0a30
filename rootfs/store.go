package rootfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	imagesDir    = "images"
	namesDir     = "names"
	tempDir      = "tmp"
	storeLock    = "images.lock"
	rootDir      = "root"
	infoFile     = "image.json"
	listFile     = "files"
	useLock      = "lock"
	digestLength = 64
	maxName      = 64
	lockPoll     = 100 * time.Millisecond
	acquireTries = 10
)

// Store keeps images below a data directory. Several processes may use one at
// the same time.
type Store struct{ dir string }

// Open makes the directories of a store and returns it.
func Open(dataDir string) (*Store, error) {
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, fmt.Errorf("open the image store: %w", err)
	}
	s := &Store{dir: abs}
	// A session's root reads images, not their names.
	if err := os.MkdirAll(abs, 0o711); err != nil {
		return nil, fmt.Errorf("open the image store: %w", err)
	}
	for _, d := range []struct {
		name string
		mode fs.FileMode
	}{{imagesDir, 0o711}, {namesDir, 0o755}, {tempDir, 0o700}} {
		if err := os.MkdirAll(s.path(d.name), d.mode); err != nil {
			return nil, fmt.Errorf("open the image store: %w", err)
		}
	}
	return s, nil
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// checkName keeps names out of path tricks, and from looking like digests.
func checkName(name string) error {
	const first = "abcdefghijklmnopqrstuvwxyz0123456789"
	if name == "" || len(name) >= maxName || !strings.Contains(first, name[:1]) || strings.Trim(name, first+"._-") != "" {
		return fmt.Errorf("image name %q: use at most %d lower-case letters, digits, '.', '_' and '-', and begin with a letter or digit", name, maxName-1)
	}
	return nil
}

func isDigest(s string) bool {
	return len(s) == digestLength && strings.Trim(s, "0123456789abcdef") == ""
}

// Resolve finds an image by its name or its digest.
func (s *Store) Resolve(nameOrDigest string) (Image, error) {
	if isDigest(nameOrDigest) {
		return s.load("", nameOrDigest)
	}
	if err := checkName(nameOrDigest); err != nil {
		return Image{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	text, err := os.ReadFile(s.path(namesDir, nameOrDigest))
	if errors.Is(err, fs.ErrNotExist) {
		return Image{}, s.unknown(nameOrDigest)
	}
	if err != nil {
		return Image{}, fmt.Errorf("find image %s: %w", nameOrDigest, err)
	}
	digest := strings.TrimSpace(string(text))
	if !isDigest(digest) {
		return Image{}, fmt.Errorf("find image %s: %w: its name file holds no digest; build it again", nameOrDigest, ErrDamaged)
	}
	return s.load(nameOrDigest, digest)
}

// unknown says what there is instead.
func (s *Store) unknown(name string) error {
	have := "there are none yet"
	if names, err := s.names(); err == nil && len(names) > 0 {
		have = "there are: " + strings.Join(names, ", ")
	}
	return fmt.Errorf("%w: %s; %s (tcid image build --name %s makes one)", ErrNotFound, name, have, name)
}

func (s *Store) load(name, digest string) (Image, error) {
	img := Image{}
	text, err := os.ReadFile(s.path(imagesDir, digest, infoFile))
	if errors.Is(err, fs.ErrNotExist) {
		return img, fmt.Errorf("%w: %s", ErrNotFound, digest)
	}
	if err != nil {
		return img, fmt.Errorf("read image %s: %w", digest, err)
	}
	if err := json.Unmarshal(text, &img); err != nil {
		return img, fmt.Errorf("read image %s: %w: %w", digest, ErrDamaged, err)
	}
	img.Name, img.Root = name, s.path(imagesDir, digest, rootDir)
	return img, nil
}

// names lists the names, sorted.
func (s *Store) names() ([]string, error) {
	entries, err := os.ReadDir(s.path(namesDir))
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var names []string
	for _, e := range entries {
		if checkName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// List returns one image for each name, sorted by name.
func (s *Store) List() ([]Image, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var all []Image
	for _, name := range names {
		img, err := s.Resolve(name)
		if errors.Is(err, ErrNotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, img)
	}
	return all, nil
}

// Acquire finds an image and keeps it from being removed until release is
// called, or the process ends.
func (s *Store) Acquire(nameOrDigest string) (img Image, release func(), err error) {
	// The name may be given to another image, and this one removed, at any
	// moment before the lock is held.
	for range acquireTries {
		if img, err = s.Resolve(nameOrDigest); err != nil {
			return Image{}, nil, err
		}
		lock, err := flock(s.path(imagesDir, img.Digest, useLock), unix.LOCK_SH|unix.LOCK_NB)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EWOULDBLOCK) {
			time.Sleep(lockPoll)
			continue
		}
		if err != nil {
			return Image{}, nil, fmt.Errorf("use image %s: %w", nameOrDigest, err)
		}
		if _, err := os.Stat(s.path(imagesDir, img.Digest, infoFile)); err != nil {
			_ = lock.Close()
			continue
		}
		return img, func() { _ = lock.Close() }, nil
	}
	return Image{}, nil, fmt.Errorf("use image %s: %w: it is being removed", nameOrDigest, ErrNotFound)
}

// Remove takes a name away, and its image with it when no other name stands
// for that. An image that is in use stays, and so does its name.
func (s *Store) Remove(ctx context.Context, name string) error {
	unlock, err := s.lock(ctx, nil)
	if err != nil {
		return err
	}
	defer unlock()
	img, err := s.Resolve(name)
	if err != nil {
		return err
	}
	if img.Name == "" {
		return fmt.Errorf("remove image %s: give its name, not its digest", name)
	}
	all, err := s.List()
	if err != nil {
		return err
	}
	shared := slices.ContainsFunc(all, func(o Image) bool { return o.Digest == img.Digest && o.Name != name })
	if !shared {
		if err := s.removeImage(img.Digest); err != nil {
			return fmt.Errorf("remove image %s: %w", name, err)
		}
	}
	if err := os.Remove(s.path(namesDir, name)); err != nil {
		return fmt.Errorf("remove image %s: %w", name, err)
	}
	return nil
}

// removeImage removes an image's directory, unless somebody uses it.
func (s *Store) removeImage(digest string) error {
	lock, err := flock(s.path(imagesDir, digest, useLock), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%w: close the sessions that run on it first", ErrInUse)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if lock != nil {
		defer lock.Close()
	}
	// Out of sight at once; what a crash leaves in tmp is swept by the next
	// build.
	gone := s.path(tempDir, "gone-"+digest)
	if err := os.Rename(s.path(imagesDir, digest), gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
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
	named, err := s.List()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.path(imagesDir))
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	for _, e := range entries {
		digest := e.Name()
		if !isDigest(digest) || slices.ContainsFunc(named, func(i Image) bool { return i.Digest == digest }) {
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

// Verify reads every file of an image again and compares it with what was
// built.
func (s *Store) Verify(ctx context.Context, name string) error {
	img, release, err := s.Acquire(name)
	if err != nil {
		return err
	}
	defer release()
	want, err := os.ReadFile(s.path(imagesDir, img.Digest, listFile))
	if err != nil {
		return fmt.Errorf("verify image %s: %w: %w", name, ErrDamaged, err)
	}
	got, faults := readTree(ctx, img.Root)
	if got == nil {
		return fmt.Errorf("verify image %s: %w", name, faults)
	}
	if got.digest() != img.Digest {
		found := differences(want, got)
		if len(found) == 0 {
			found = []string{"its list of files was changed"}
		}
		return fmt.Errorf("verify image %s: %w; build it again:\n  %s", name, ErrDamaged, strings.Join(found, "\n  "))
	}
	return faults
}

// lock waits for the store's lock. waiting is called once when that takes a
// while.
func (s *Store) lock(ctx context.Context, waiting func()) (unlock func(), err error) {
	for first := true; ; first = false {
		f, err := flock(s.path(storeLock), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock the image store: %w", err)
		}
		if first && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the image store's lock: %w", context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
}

// flock opens a lock file and locks it. Only the store's own is made when it is
// missing: an image without one is being removed.
func flock(path string, how int) (*os.File, error) {
	flags := os.O_RDWR | unix.O_NOFOLLOW
	if filepath.Base(path) == storeLock {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
