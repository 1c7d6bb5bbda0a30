package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mostFaults is how many faults an error names.
const mostFaults = 10

// Verify reads every file of an image again and compares it with what was
// built. Its error wraps ErrDamaged and names the first faults.
func (s *Store) Verify(ctx context.Context, name string) error {
	img, release, err := s.Acquire(name)
	if err != nil {
		return err
	}
	defer release()
	if err := s.verify(ctx, img.Digest); err != nil {
		return fmt.Errorf("verify image %s: %w", name, err)
	}
	return nil
}

// verify is Verify for a digest that can't go away.
func (s *Store) verify(ctx context.Context, digest string) error {
	got, audited, err := readTree(ctx, s.path(imagesDir, digest, rootDir))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return err
	}
	var faults []string
	for _, fault := range audited {
		faults = append(faults, fault.Error())
	}
	want, err := os.ReadFile(s.path(imagesDir, digest, listFile))
	if err != nil {
		faults = append(faults, "the list of its files can't be read: "+err.Error())
	} else {
		faults = append(faults, differences(string(want), got.text())...)
	}
	if len(faults) == 0 && got.digest() != digest {
		faults = append(faults, "its content and the list of its files were changed")
	}
	if len(faults) == 0 {
		return nil
	}
	if more := len(faults) - mostFaults; more > 0 {
		faults = append(faults[:mostFaults], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w; build it again:\n  %s", ErrDamaged, strings.Join(faults, "\n  "))
}

// audit finds what an image must not have: other owners, set-id bits and file
// capabilities, modes that keep readers out or let others write, anything but
// files, directories and links, a link at a mount point.
func audit(path, inside string, info fs.FileInfo) error {
	mode := info.Mode()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && (stat.Uid != 0 || stat.Gid != 0) {
		return fmt.Errorf("%s belongs to %d:%d, not to root", inside, stat.Uid, stat.Gid)
	}
	if slices.Contains(mountPoints, inside) && !mode.IsDir() {
		return fmt.Errorf("%s is not a directory", inside)
	}
	switch {
	case mode.Type() == fs.ModeSymlink:
		return nil
	case !mode.IsRegular() && !mode.IsDir():
		return fmt.Errorf("%s is neither a file nor a directory nor a link", inside)
	case mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return fmt.Errorf("%s has a set-id bit", inside)
	case mode.IsDir() && mode.Perm() != dirMode, mode.IsRegular() && mode.Perm() != fileMode && mode.Perm() != programMode:
		return fmt.Errorf("%s has mode %#o", inside, mode.Perm())
	}
	if mode.IsRegular() {
		if _, err := unix.Lgetxattr(path, "security.capability", nil); err == nil {
			return fmt.Errorf("%s has file capabilities", inside)
		}
	}
	return nil
}

// differences says, sorted by path, in what a tree's list of files is not the
// one that it had.
func differences(want, got string) (found []string) {
	before, after := byPath(want), byPath(got)
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		was, is := before[path], after[path]
		switch {
		case was == is:
		case is == "":
			found = append(found, path+" is missing")
		case was == "":
			found = append(found, path+" was added")
		default:
			found = append(found, path+" was changed: "+change(was, is))
		}
	}
	return found
}

// byPath indexes a list's lines by the path in them, which is the first thing
// in quotes. Lines without one, which no list has, are their own path.
func byPath(list string) map[string]string {
	lines := map[string]string{}
	for line := range strings.Lines(list) {
		line = strings.TrimSuffix(line, "\n")
		path := line
		if i := strings.IndexByte(line, '"'); i >= 0 {
			if quoted, err := strconv.QuotedPrefix(line[i:]); err == nil {
				path, _ = strconv.Unquote(quoted)
			}
		}
		lines[path] = line
	}
	return lines
}

// change names the first thing in which two lines of one path differ.
func change(was, is string) string {
	a, b := strings.Fields(was), strings.Fields(is)
	if len(a) != len(b) || a[0] != b[0] || a[0] == "l" {
		return "it is " + is + ", it was " + was
	}
	for i, field := range []string{"kind", "mode", "size", "content"} {
		if i >= len(a) || a[i] == b[i] {
			continue
		}
		if field == "content" {
			return "its content"
		}
		return fmt.Sprintf("%s %s instead of %s", field, b[i], a[i])
	}
	return "it is " + is + ", it was " + was
}
