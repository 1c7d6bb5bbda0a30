package container

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"tcid/sandbox"
)

// Host ids are handed out in blocks, one to a user namespace. The range is the
// one that systemd reserves for containers (systemd's UIDS-GIDS.md).
const (
	firstID       = 524288
	lastID        = 1879048191
	blockSize     = 65536
	blocksInRange = 256 // a daemon locks this many blocks at a time
	rangeCount    = (lastID + 1 - firstID) / (blockSize * blocksInRange)
)

// idRanges hands out blocks of host ids that nobody else on the host uses: no
// account, no subordinate range, and no other daemon. Each daemon holds a lock
// on the ranges that it takes blocks from.
type idRanges struct {
	dir   string // of the lock files, shared by all daemons of the host
	owner string // this daemon's state directory

	mu    sync.Mutex
	locks []*os.File
	free  []uint32 // bases, the one that was freed longest ago first
	taken []span   // ids that accounts and subordinate ranges occupy
}

type span struct{ first, last uint64 }

func newIDRanges(dir, owner string) (*idRanges, error) {
	r := &idRanges{dir: dir, owner: owner}
	for _, file := range []struct {
		path  string
		parse func([]string) (span, bool)
	}{
		{"/etc/passwd", accountSpan}, {"/etc/group", accountSpan},
		{"/etc/subuid", subordinateSpan}, {"/etc/subgid", subordinateSpan},
	} {
		spans, err := readSpans(file.path, file.parse)
		if err != nil {
			return nil, err
		}
		r.taken = append(r.taken, spans...)
	}
	return r, nil
}

// acquire returns the base of a block that is nobody's.
func (r *idRanges) acquire() (uint32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.free) == 0 {
		if err := r.lockNext(); err != nil {
			return 0, err
		}
	}
	base, rest := take(r.free)
	r.free = rest
	return base, nil
}

// release gives a block back. No process of it may be left.
func (r *idRanges) release(base uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = append(r.free, base)
}

func (r *idRanges) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.locks {
		_ = os.Remove(f.Name()) // still locked: see lockRange
		_ = f.Close()
	}
	_ = os.Remove(r.dir) // fails, rightly, while other daemons have locks there
	r.locks, r.free = nil, nil
}

// lockNext locks one more range and adds its blocks to the free ones.
func (r *idRanges) lockNext() error {
	for n := range rangeCount {
		path := filepath.Join(r.dir, strconv.Itoa(n))
		if r.holds(path) {
			continue
		}
		f, err := r.lockRange(path)
		if err != nil {
			return err
		}
		if f == nil {
			continue // another daemon's
		}
		if !r.claim(f) {
			_ = f.Close()
			continue
		}
		r.locks = append(r.locks, f)
		first := uint64(firstID) + uint64(n)*blockSize*blocksInRange
		for b := range uint64(blocksInRange) {
			base := first + b*blockSize
			if !r.occupied(base) {
				r.free = append(r.free, uint32(base))
			}
		}
		if len(r.free) > 0 {
			return nil
		}
	}
	return fmt.Errorf("%w: no block of %d host ids between %d and %d is free", sandbox.ErrExhausted, blockSize, firstID, lastID)
}

// lockRange opens and locks the file of a range; nil when somebody else has the
// lock. Daemons remove their files when they stop, so the file that was locked
// must still be the one that the path leads to.
func (r *idRanges) lockRange(path string) (*os.File, error) {
	for {
		err := os.MkdirAll(r.dir, 0o700)
		if errors.Is(err, os.ErrExist) {
			// It was there, and was removed before MkdirAll looked what it is.
			if info, statErr := os.Lstat(r.dir); errors.Is(statErr, os.ErrNotExist) || statErr == nil && info.IsDir() {
				continue
			}
		}
		if err != nil {
			return nil, fmt.Errorf("make the directory of id locks: %w", err)
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if errors.Is(err, os.ErrNotExist) {
			continue // the directory was just removed
		}
		if err != nil {
			return nil, fmt.Errorf("open an id lock: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, nil
			}
			return nil, fmt.Errorf("lock an id range: %w", err)
		}
		locked, err1 := f.Stat()
		there, err2 := os.Lstat(path)
		if err1 == nil && err2 == nil && os.SameFile(locked, there) {
			return f, nil
		}
		_ = f.Close()
	}
}

func (r *idRanges) holds(path string) bool {
	for _, f := range r.locks {
		if f.Name() == path {
			return true
		}
	}
	return false
}

// claim writes this daemon's name into a locked range. A range of a daemon
// that died stays that daemon's while its containers may still run.
func (r *idRanges) claim(f *os.File) bool {
	buf := make([]byte, unix.PathMax)
	n, _ := f.ReadAt(buf, 0)
	if other := string(buf[:n]); other != "" && other != r.owner {
		left, err := os.ReadDir(filepath.Join(other, containersDir))
		if err == nil && len(left) > 0 {
			return false
		}
	}
	if err := f.Truncate(0); err != nil {
		return false
	}
	_, err := f.WriteAt([]byte(r.owner), 0)
	return err == nil
}

func (r *idRanges) occupied(base uint64) bool {
	for _, s := range r.taken {
		if s.first < base+blockSize && s.last >= base {
			return true
		}
	}
	return false
}

// readSpans reads a colon-separated account file; a missing one is empty.
func readSpans(path string, parse func([]string) (span, bool)) ([]span, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the ids in use: %w", err)
	}
	defer f.Close()
	var spans []span
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if s, ok := parse(strings.Split(lines.Text(), ":")); ok {
			spans = append(spans, s)
		}
	}
	return spans, lines.Err()
}

// accountSpan reads name:password:id:… of passwd and group.
func accountSpan(fields []string) (span, bool) {
	if len(fields) < 3 {
		return span{}, false
	}
	id, err := strconv.ParseUint(fields[2], 10, 32)
	return span{id, id}, err == nil
}

// subordinateSpan reads name:first:count of subuid and subgid.
func subordinateSpan(fields []string) (span, bool) {
	if len(fields) != 3 {
		return span{}, false
	}
	first, err1 := strconv.ParseUint(fields[1], 10, 32)
	count, err2 := strconv.ParseUint(fields[2], 10, 32)
	return span{first, first + count - 1}, err1 == nil && err2 == nil && count > 0
}
