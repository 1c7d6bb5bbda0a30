package workspace

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits of List. The memory that one call takes follows from them.
const (
	// MaxListEntries is the most entries that one call returns.
	MaxListEntries = 100_000
	// maxListBytes bounds the paths in an answer.
	maxListBytes = 16 << 20
	// maxScanBytes bounds the names that are read, with scanCost for each.
	maxScanBytes = 16 << 20
	scanCost     = 64
	nameBatch    = 256
)

// List describes what is in the directory at name ("" and "." are the
// workspace), without the directory itself. The order is that of the paths,
// compared part by part, so that a directory comes right before its content. truncated
// tells that there was, or may have been, more: maxEntries were found (0 or
// less, or more than MaxListEntries, means MaxListEntries), a directory lies deeper than MaxDepth or
// has too long a path, or the listing got too big. Links are listed, not
// followed; other file systems are not entered. What changes meanwhile may be
// listed or not.
func (d *Dir) List(ctx context.Context, name string, recursive bool, maxEntries int) (infos []FileInfo, truncated bool, err error) {
	rel := "."
	if name != "" {
		if rel, err = Clean(name); err != nil {
			return nil, false, err
		}
	}
	if maxEntries <= 0 || maxEntries > MaxListEntries {
		maxEntries = MaxListEntries
	}
	if err := d.acquire(); err != nil {
		return nil, false, fail("list", rel, err)
	}
	defer d.release()
	l := &lister{dir: d, ctx: ctx, recursive: recursive, left: maxEntries, maxScan: maxScanBytes,
		found: func(path string, st *unix.Stat_t) { infos = append(infos, newInfo(path, st)) }}
	if err := l.list(rel); err != nil {
		return nil, false, fail("list", rel, err)
	}
	return infos, l.truncated, nil
}

type lister struct {
	dir       *Dir
	ctx       context.Context
	recursive bool
	skip      func(name string) bool // leaves entries out; nil: none
	left      int                    // entries that still fit
	maxScan   int                    // bound of scanned
	found     func(path string, st *unix.Stat_t)
	truncated bool
	listed    int // bytes of paths found
	scanned   int // bytes of names read
}

type entry struct {
	name string
	st   unix.Stat_t
}

func (l *lister) list(rel string) error {
	entries, err := l.read(rel)
	if err != nil {
		return err
	}
	return l.emit(rel, entries)
}

// emit adds entries of the directory rel and, when asked to, what is below
// them. It recurses at most MaxDepth deep.
func (l *lister) emit(rel string, entries []entry) error {
	for i := range entries {
		e := &entries[i]
		path := e.name
		if rel != "." {
			path = rel + "/" + e.name
		}
		if l.left == 0 || l.listed+len(path) > maxListBytes {
			l.truncated = true
			return nil
		}
		l.left--
		l.listed += len(path)
		l.found(path, &e.st)
		if !l.recursive || e.st.Mode&unix.S_IFMT != unix.S_IFDIR {
			continue
		}
		if len(path) > MaxNameBytes || strings.Count(path, "/") >= MaxDepth-1 {
			l.truncated = true // no client could name what is in it
			continue
		}
		below, err := l.read(path)
		if isAny(err, unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EXDEV, unix.EAGAIN) {
			continue // replaced since it was looked at
		}
		if err != nil {
			return err
		}
		if err := l.emit(path, below); err != nil {
			return err
		}
	}
	return nil
}

// read returns the sorted entries of one directory, not more than still fit.
// Each directory is looked up from the workspace, so that one descriptor is
// enough and a directory moved meanwhile can't be mistaken for its neighbours.
func (l *lister) read(rel string) ([]entry, error) {
	fd, err := l.dir.openDir(l.dir.fd, rel, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), rel)
	defer f.Close()
	names, err := l.names(f)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	names = slices.Compact(names) // a directory that changes may repeat a name
	if len(names) > l.left {
		names, l.truncated = names[:l.left], true
	}
	entries := make([]entry, 0, len(names))
	for i, name := range names {
		if i%nameBatch == 0 {
			if err := l.stop(); err != nil {
				return nil, err
			}
		}
		// Not fstatat: that crosses mounts, and could ask a FUSE server.
		path, st, err := l.dir.peek(fd, name)
		switch {
		case err == nil:
			unix.Close(path)
		case isAny(err, unix.ENOENT, unix.EAGAIN):
			continue
		case errors.Is(err, unix.EXDEV):
			st = unix.Stat_t{} // something is mounted there: TypeOther
		default:
			return nil, err
		}
		entries = append(entries, entry{name, st})
	}
	return entries, nil
}

func (l *lister) names(f *os.File) ([]string, error) {
	var names []string
	for {
		if err := l.stop(); err != nil {
			return nil, err
		}
		batch, err := f.Readdirnames(nameBatch)
		for _, name := range batch {
			l.scanned += len(name) + scanCost
			if l.skip == nil || !l.skip(name) {
				names = append(names, name)
			}
		}
		if err == io.EOF {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		if l.scanned > l.maxScan {
			l.truncated = true
			return names, nil
		}
	}
}

func (l *lister) stop() error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	if l.dir.closing() {
		return ErrClosed
	}
	return nil
}
