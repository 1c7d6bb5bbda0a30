package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// manifest lists the entries of a tree, one line each, sorted by path:
//
//	d 755 "/usr"
//	f 644 1234 <sha256> "/usr/lib/x.py"
//	l "/etc/localtime" -> "../usr/share/zoneinfo/Etc/UTC"
//
// with paths and targets quoted as Go strings. Its hash is the image's digest.
// Times are left out, so that the same content has the same digest.
type manifest struct {
	lines []string // sorted by path
	bytes int64
	files int
}

func (m *manifest) text() string { return strings.Join(m.lines, "\n") + "\n" }

func (m *manifest) digest() string {
	sum := sha256.Sum256([]byte(m.text()))
	return hex.EncodeToString(sum[:])
}

// readTree makes the manifest of a tree. faults are what an image must not
// have, see audit.
func readTree(ctx context.Context, root string) (m *manifest, faults []error, err error) {
	m = &manifest{}
	type entry struct{ path, line string }
	var entries []entry
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read the image: %w", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("read the image: %w", err)
		}
		inside := "/" + strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
		if fault := audit(path, inside, info); fault != nil {
			faults = append(faults, fault)
		}
		line, err := describe(path, inside, info)
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			m.files++
			m.bytes += info.Size()
		}
		entries = append(entries, entry{inside, line})
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].path < entries[j].path })
	for _, e := range entries {
		m.lines = append(m.lines, e.line)
	}
	return m, faults, nil
}

// describe makes an entry's line.
func describe(path, inside string, info fs.FileInfo) (string, error) {
	mode := permissions(info)
	switch {
	case info.IsDir():
		return fmt.Sprintf("d %o %s", mode, strconv.Quote(inside)), nil
	case info.Mode().Type() == fs.ModeSymlink:
		to, err := os.Readlink(path)
		if err != nil {
			return "", fmt.Errorf("read the image: %w", err)
		}
		return fmt.Sprintf("l %s -> %s", strconv.Quote(inside), strconv.Quote(to)), nil
	case !info.Mode().IsRegular():
		return fmt.Sprintf("? %s %s", info.Mode().Type(), strconv.Quote(inside)), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the image: %w", err)
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("read the image: %w", err)
	}
	return fmt.Sprintf("f %o %d %x %s", mode, info.Size(), hash.Sum(nil), strconv.Quote(inside)), nil
}

// permissions are the mode bits as chmod counts them, set-id and sticky bits
// included.
func permissions(info fs.FileInfo) uint32 {
	const all = 0o7777
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Mode & all
	}
	return uint32(info.Mode().Perm())
}
