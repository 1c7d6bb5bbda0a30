package rootfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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
	acquireTries = 10

	// A session's root reaches images, but can't list what else there is.
	reachable fs.FileMode = 0o711
	private   fs.FileMode = 0o700
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
	if err := os.MkdirAll(filepath.Dir(abs), dirMode); err != nil {
		return nil, fmt.Errorf("open the image store: %w", err)
	}
	// The mode of a data directory that is there is its owner's business.
	if err := os.Mkdir(abs, reachable); err == nil {
		err = os.Chmod(abs, reachable) // despite the umask
		if err != nil {
			return nil, fmt.Errorf("open the image store: %w", err)
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("open the image store: %w", err)
	}
	for _, d := range []struct {
		name string
		mode fs.FileMode
	}{{imagesDir, reachable}, {namesDir, dirMode}, {tempDir, private}} {
		if err := ownDir(s.path(d.name), d.mode); err != nil {
			return nil, fmt.Errorf("open the image store: %w", err)
		}
	}
	return s, nil
}

// ownDir makes a directory, or makes sure that it is one that nobody else can
// have put something into.
func ownDir(path string, mode fs.FileMode) error {
	if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s must be a directory that belongs to you; move it away or use another data directory", path)
	}
	if info.Mode().Perm() == mode {
		return nil
	}
	return os.Chmod(path, mode)
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// checkName keeps names out of path tricks, and from looking like digests.
func checkName(name string) error {
	const first = "abcdefghijklmnopqrstuvwxyz0123456789"
	if name == "" || len(name) > maxName || !strings.Contains(first, name[:1]) || strings.Trim(name, first+"._-") != "" {
		return fmt.Errorf("image name %q: use at most %d lower-case letters, digits, '.', '_' and '-', and begin with a letter or digit", name, maxName)
	}
	if isDigest(name) {
		return fmt.Errorf("image name %q: it looks like a digest; use another", name)
	}
	return nil
}

func isDigest(s string) bool {
	return len(s) == digestLength && strings.Trim(s, "0123456789abcdef") == ""
}

// Resolve finds an image by its name or its digest. The error wraps ErrNotFound
// when there is none.
func (s *Store) Resolve(nameOrDigest string) (Image, error) {
	if isDigest(nameOrDigest) {
		return s.load("", nameOrDigest)
	}
	if err := checkName(nameOrDigest); err != nil {
		return Image{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	digest, err := s.readName(nameOrDigest)
	if errors.Is(err, fs.ErrNotExist) {
		return Image{}, s.unknown(nameOrDigest)
	}
	if err != nil {
		return Image{}, fmt.Errorf("find image %s: %w", nameOrDigest, err)
	}
	return s.load(nameOrDigest, digest)
}

func (s *Store) readName(name string) (digest string, err error) {
	text, err := os.ReadFile(s.path(namesDir, name))
	if err != nil {
		return "", err
	}
	if digest = strings.TrimSpace(string(text)); !isDigest(digest) {
		return "", fmt.Errorf("%w: its name file holds no digest; build it again", ErrDamaged)
	}
	return digest, nil
}

// unknown says what there is instead.
func (s *Store) unknown(name string) error {
	have := "there are none yet"
	if names, err := s.names(); err == nil && len(names) > 0 {
		have = "there are: " + strings.Join(slices.Sorted(maps.Keys(names)), ", ")
	}
	return fmt.Errorf("%w: %s; %s (tcid image build --name %s makes one)", ErrNotFound, name, have, name)
}

func (s *Store) load(name, digest string) (Image, error) {
	shown := name
	if shown == "" {
		shown = digest
	}
	text, err := os.ReadFile(s.path(imagesDir, digest, infoFile))
	if errors.Is(err, fs.ErrNotExist) && name == "" {
		return Image{}, fmt.Errorf("%w: %s; tcid image ls lists those that there are", ErrNotFound, digest)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Image{}, fmt.Errorf("%w: %s: its files are gone; tcid image build --name %s makes it again", ErrNotFound, name, name)
	}
	if err != nil {
		return Image{}, fmt.Errorf("read image %s: %w", shown, err)
	}
	img := Image{}
	err = json.Unmarshal(text, &img)
	if err == nil && img.Digest != digest {
		err = fmt.Errorf("its description is that of %q", img.Digest)
	}
	if err != nil {
		return Image{}, fmt.Errorf("read image %s: %w: %w; build it again", shown, ErrDamaged, err)
	}
	img.Name, img.Root = name, s.path(imagesDir, digest, rootDir)
	return img, nil
}

// names maps names to digests. A name whose file is damaged has an empty one,
// so that it can still be listed, built again and removed.
func (s *Store) names() (map[string]string, error) {
	entries, err := os.ReadDir(s.path(namesDir))
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	names := map[string]string{}
	for _, e := range entries {
		if checkName(e.Name()) != nil {
			continue
		}
		digest, err := s.readName(e.Name())
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list images: %w", err)
		}
		names[e.Name()] = digest
	}
	return names, nil
}

// List returns one image for each name, sorted by name. When some are damaged,
// it returns the others, and an error that says which and wraps ErrDamaged.
func (s *Store) List() ([]Image, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var all []Image
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(names)) {
		img, err := s.Resolve(name)
		switch {
		case errors.Is(err, ErrNotFound): // removed meanwhile
		case err != nil:
			faults = append(faults, err)
		default:
			all = append(all, img)
		}
	}
	return all, errors.Join(faults...)
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
		lock, err := s.use(img.Digest, unix.LOCK_SH)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EWOULDBLOCK) {
			time.Sleep(lockPoll)
			continue
		}
		if err != nil {
			return Image{}, nil, fmt.Errorf("use image %s: %w", nameOrDigest, err)
		}
		if _, err := os.Stat(s.path(imagesDir, img.Digest, infoFile)); err != nil {
			_ = lock.Close() // it was removed just before the lock was held
			continue
		}
		return img, func() { _ = lock.Close() }, nil
	}
	return Image{}, nil, fmt.Errorf("use image %s: %w: it is being removed", nameOrDigest, ErrNotFound)
}
