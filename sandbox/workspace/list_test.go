package workspace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestList(t *testing.T) {
	d, root := newDir(t)
	for _, name := range []string{"a/x", "a-b", "a/b/c", "z", "\u00e9", "a.txt"} {
		put(t, d, name, "12")
	}
	check(t, os.Symlink("/", filepath.Join(root, "a/out")))
	check(t, unix.Mkfifo(filepath.Join(root, "a/fifo"), 0o600))
	all := []string{"a", "a/b", "a/b/c", "a/fifo", "a/out", "a/x", "a-b", "a.txt", "z", "\u00e9"}
	for _, c := range []struct {
		name      string
		recursive bool
		max       int
		want      []string
		truncated bool
	}{
		{"", true, 0, all, false},
		{".", true, len(all), all, false},
		{"/workspace", true, MaxListEntries + 1, all, false},
		{"", true, len(all) - 1, all[:len(all)-1], true},
		{"", true, 4, all[:4], true},
		{"", true, 1, all[:1], true},
		{"", false, 0, []string{"a", "a-b", "a.txt", "z", "\u00e9"}, false},
		{"", false, 2, []string{"a", "a-b"}, true},
		{"a/b", false, 0, []string{"a/b/c"}, false},
		{"a/", true, 0, []string{"a/b", "a/b/c", "a/fifo", "a/out", "a/x"}, false},
	} {
		infos, truncated, err := d.List(t.Context(), c.name, c.recursive, c.max)
		var got []string
		for _, info := range infos {
			got = append(got, info.Path)
			if stat, err := d.Stat(info.Path); !cmp.Equal(stat, info) || err != nil {
				t.Errorf("listed %+v, stat %+v, %v", info, stat, err)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" || truncated != c.truncated || err != nil {
			t.Errorf("List(%q, %v, %d): truncated %v, %v, (-want +got)\n%s", c.name, c.recursive, c.max, truncated, err, diff)
		}
	}
	for name, want := range map[string]error{
		"z": ErrNotDirectory, "a/fifo": ErrNotDirectory, "none": ErrNotFound, "a/out": ErrLink, "a/out/etc": ErrLink, "..": ErrInvalidName,
	} {
		_, _, err := d.List(t.Context(), name, true, 0)
		wantErr(t, err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := d.List(ctx, "", true, 0)
	wantErr(t, err, context.Canceled)
}

// chain nests n directories below the directory at, the way hostile code does
// it: as the session, and by relative steps, beyond any path length.
func chain(t testing.TB, d *Dir, at, name string, n int) {
	t.Helper()
	check(t, d.asOwner(func() error {
		fd, err := unix.Open(at, unix.O_PATH|unix.O_DIRECTORY, 0)
		for range n {
			if err == nil {
				err = unix.Mkdirat(fd, name, 0o755)
			}
			if err != nil {
				break
			}
			var next int
			next, err = unix.Openat(fd, name, unix.O_PATH|unix.O_DIRECTORY, 0)
			unix.Close(fd)
			fd = next
		}
		unix.Close(fd)
		return err
	}))
}

func TestListIsBounded(t *testing.T) {
	d, root := newDir(t)
	chain(t, d, root, "d", 5000)
	chain(t, d, root, strings.Repeat("l", MaxComponentBytes), 100)
	infos, truncated, err := d.List(t.Context(), "", true, 0)
	if want := MaxDepth + 17; len(infos) < MaxDepth || len(infos) > want || !truncated || err != nil {
		t.Errorf("%d entries, want at most %d; truncated %v, %v", len(infos), want, truncated, err)
	}

	wide := filepath.Join(root, "wide")
	check(t, os.Mkdir(wide, 0o755))
	for i := range 12000 {
		check(t, os.Symlink("x", filepath.Join(wide, fmt.Sprintf("%0250d", i))))
	}
	start := time.Now()
	infos, truncated, err = d.List(t.Context(), "wide", false, 100)
	if len(infos) != 100 || !truncated || err != nil || infos[99].Name != fmt.Sprintf("%0250d", 99) {
		t.Errorf("%d entries, truncated %v, %v", len(infos), truncated, err)
	}
	infos, truncated, err = d.List(t.Context(), "wide", false, 0)
	if len(infos) != 12000 || truncated || err != nil {
		t.Errorf("%d entries, truncated %v, %v", len(infos), truncated, err)
	}
	t.Logf("two listings of 12,000 entries took %v", time.Since(start))
}

// The memory of an answer is bounded by its bytes, not only by its entries.
func TestListBytesAreBounded(t *testing.T) {
	d, root := newDir(t)
	dir := strings.Repeat(strings.Repeat("p", 250)+"/", 15)
	put(t, d, dir+"f", "")
	for i := range 6000 {
		check(t, os.Symlink("x", filepath.Join(root, dir, fmt.Sprintf("%0200d", i))))
	}
	infos, truncated, err := d.List(t.Context(), "", true, 0)
	size := 0
	for _, info := range infos {
		size += len(info.Path)
	}
	if !truncated || err != nil || size > maxListBytes || size < maxListBytes/2 {
		t.Errorf("%d entries with %d bytes of paths, truncated %v, %v", len(infos), size, truncated, err)
	}
}
