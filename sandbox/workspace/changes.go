package workspace

import (
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What happened to a file.
const (
	Created  = "created"
	Modified = "modified"
	Deleted  = "deleted"
)

// Change is what happened to a file between two snapshots. Of a deleted one it
// says what was there.
type Change struct {
	FileInfo
	Kind string
}

// Snapshot is what files there were at a moment.
type Snapshot struct {
	at        time.Time
	files     map[string]file // by path; everything but directories
	truncated bool
}

// file is what changes whenever a file does.
type file struct {
	info     FileInfo
	inode    uint64
	modified unix.Timespec
	changed  unix.Timespec // of the inode; code can't set it
}

// snapshotScanBytes bounds how much of directories is read for a snapshot.
const snapshotScanBytes = 1 << 20

// Snapshot looks at the files of the workspace, maxEntries at most. It leaves out
// what begins with a dot and __pycache__: what programs keep for themselves.
func (d *Dir) Snapshot(ctx context.Context, maxEntries int) (*Snapshot, error) {
	s := &Snapshot{at: time.Now(), files: map[string]file{}}
	if err := d.acquire(); err != nil {
		return nil, fail("look at", ".", err)
	}
	defer d.release()
	l := &lister{dir: d, ctx: ctx, recursive: true, left: maxEntries, maxScan: snapshotScanBytes,
		skip: func(name string) bool { return strings.HasPrefix(name, ".") || name == "__pycache__" },
		found: func(path string, st *unix.Stat_t) {
			if st.Mode&unix.S_IFMT != unix.S_IFDIR {
				s.files[path] = file{newInfo(path, st), st.Ino, st.Mtim, st.Ctim}
			}
		}}
	if err := l.list("."); err != nil {
		return nil, fail("look at", ".", err)
	}
	s.truncated = l.truncated
	return s, nil
}

// ChangesUntil says what became of the files, by path. complete is false when
// there were more files than one of the snapshots holds: then those are told of
// that later holds and that have changed since.
func (s *Snapshot) ChangesUntil(later *Snapshot) (changes []Change, complete bool) {
	complete = !s.truncated && !later.truncated
	for path, now := range later.files {
		was, known := s.files[path]
		switch {
		case known && was != now:
			changes = append(changes, Change{now.info, Modified})
		case !known && (complete || now.changedSince(s.at)):
			changes = append(changes, Change{now.info, Created})
		}
	}
	for path, was := range s.files {
		if _, still := later.files[path]; !still && complete {
			changes = append(changes, Change{was.info, Deleted})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return changes, complete
}

// clockTick is how far a file's time may lie behind the clock.
const clockTick = 10 * time.Millisecond

func (f *file) changedSince(t time.Time) bool {
	return !time.Unix(f.changed.Unix()).Before(t.Add(-clockTick))
}
