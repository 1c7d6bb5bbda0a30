package rootfs

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
//	d 755 /usr
//	f 644 1234 <sha256> /usr/lib/x.py
//	l /etc/localtime -> /usr/share/zoneinfo/Etc/UTC
//
// with paths and targets quoted as Go strings. Its hash is the image's digest.
// Times are left out, so that the same content has the same digest.
type manifest struct {
	lines []string // sorted by path
	bytes int64
	files int
}

func (m *manifest) text() []byte { return []byte(strings.Join(m.lines, "\n") + "\n") }

func (m *manifest) digest() string {
	sum := sha256.Sum256(m.text())
	return hex.EncodeToString(sum[:])
}

// readTree makes the manifest of a tree. With an audit, whatever an image must
// not have is an error: other owners, set-id bits, writing by others, anything
// but files, directories and links, a link at a mount point.
func readTree(ctx context.Context, root string) (*manifest, error) {
	m := &manifest{}
	type entry struct{ path, line string }
	var entries []entry
	var faults []error
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
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
		if fault := audit(inside, info); fault != nil {
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
		return nil, err
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].path < entries[j].path })
	for _, e := range entries {
		m.lines = append(m.lines, e.line)
	}
	return m, errors.Join(faults...)
}

func audit(inside string, info fs.FileInfo) error {
	mode := info.Mode()
	stat, _ := info.Sys().(*syscall.Stat_t)
	switch {
	case stat != nil && (stat.Uid != 0 || stat.Gid != 0):
		return fmt.Errorf("%w: %s belongs to %d:%d, not to root", ErrDamaged, inside, stat.Uid, stat.Gid)
	case mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return fmt.Errorf("%w: %s has a set-id bit", ErrDamaged, inside)
	case mode.IsRegular() && mode.Perm() != 0o644 && mode.Perm() != 0o755, mode.IsDir() && mode.Perm() != 0o755:
		return fmt.Errorf("%w: %s has mode %#o", ErrDamaged, inside, mode.Perm())
	case !mode.IsRegular() && !mode.IsDir() && mode.Type() != fs.ModeSymlink:
		return fmt.Errorf("%w: %s is neither a file nor a directory nor a link", ErrDamaged, inside)
	}
	for _, point := range mountPoints {
		if inside == point && !mode.IsDir() {
			return fmt.Errorf("%w: %s must be a directory", ErrDamaged, inside)
		}
	}
	return nil
}

func describe(path, inside string, info fs.FileInfo) (string, error) {
	switch {
	case info.IsDir():
		return fmt.Sprintf("d %o %s", info.Mode().Perm(), strconv.Quote(inside)), nil
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
	return fmt.Sprintf("f %o %d %x %s", info.Mode().Perm(), info.Size(), hash.Sum(nil), strconv.Quote(inside)), nil
}

// differences names the first entries in which a tree differs from its
// manifest.
func differences(want []byte, got *manifest) []string {
	const most = 10
	expected := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(want))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		expected[lines.Text()] = true
	}
	var found []string
	for _, line := range got.lines {
		if !expected[line] {
			found = append(found, "unexpected: "+line)
		}
		delete(expected, line)
	}
	for line := range expected {
		found = append(found, "missing: "+line)
	}
	sort.Strings(found)
	if len(found) > most {
		found = append(found[:most], fmt.Sprintf("and %d more", len(found)-most))
	}
	return found
}
