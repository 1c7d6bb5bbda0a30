package workspace

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestRemove(t *testing.T) {
	d, root := newDir(t)
	at := func(name string) string { return filepath.Join(root, name) }
	outside := t.TempDir()
	check(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o600))
	put(t, d, "full/a/b/f", "x")
	put(t, d, "f", "x")
	put(t, d, "keep", "x")
	check(t, os.Mkdir(at("empty"), 0o755))
	check(t, os.Symlink(outside, at("link")))
	check(t, os.Symlink(outside, at("full/link")))
	check(t, unix.Mkfifo(at("full/fifo"), 0o600))
	fds := openFDs(t)
	for _, c := range []struct {
		name      string
		recursive bool
		want      error
	}{
		{"full", false, ErrNotEmpty}, {"none", true, ErrNotFound}, {"none/f", true, ErrNotFound},
		{"f/x", true, ErrNotDirectory}, {"link/precious", true, ErrLink}, {"full/link/precious", false, ErrLink},
		{".", true, ErrInvalidName}, {"/workspace", true, ErrInvalidName}, {"", true, ErrInvalidName}, {"..", true, ErrInvalidName},
		{"f", false, nil}, {"f", false, ErrNotFound}, {"empty", false, nil}, {"link", true, nil}, {"full", true, nil},
	} {
		if err := d.Remove(c.name, c.recursive); c.want == nil && err != nil {
			t.Errorf("Remove(%q, %v): %v", c.name, c.recursive, err)
		} else if c.want != nil {
			wantErr(t, err, c.want)
		}
	}
	if diff := cmp.Diff([]string{"keep"}, paths(t, d)); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(outside, "precious")); err != nil {
		t.Error(err)
	}
	if n := openFDs(t); n != fds {
		t.Errorf("%d descriptors are open, %d were", n, fds)
	}
}

// A tree that is far deeper than a path can be, wide, and without any rights
// for its owner, also in a user namespace, as in production.
func TestRemoveHugeTree(t *testing.T) {
	for _, userns := range []bool{false, true} {
		root, id := newTmpfs(t, "size=64m,nr_inodes=30000", userns), testID
		if userns {
			id += userBase
		}
		d := openDirAt(t, root, id)
		put(t, d, "top/f", "x")
		chain(t, d, filepath.Join(root, "top"), "d", 10000)
		check(t, d.asOwner(func() error {
			for i := range 5000 {
				if err := os.Symlink("x", filepath.Join(root, "top/d", string(rune('\u4e00'+i)))); err != nil {
					return err
				}
			}
			return nil
		}))
		chmodAll(t, filepath.Join(root, "top"), 200)
		start := time.Now()
		check(t, d.Remove("top", true))
		took := time.Since(start)
		if took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if names := paths(t, d); len(names) != 0 {
			t.Errorf("left: %v", names)
		}
		t.Logf("user namespace %v: 10,000 levels and 5,000 links took %v", userns, took)
	}
}

// chmodAll takes all rights from a chain's first n directories.
func chmodAll(t *testing.T, dir string, n int) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	check(t, err)
	for range n {
		check(t, unix.Fchmod(fd, 0))
		next, err := unix.Openat(fd, "d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		check(t, err)
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
}

func TestRemoveIsBounded(t *testing.T) {
	d, root := newDir(t)
	for i := range 200 {
		put(t, d, "top/"+string(rune('\u4e00'+i))+"/f", "x")
	}
	r := &remover{dir: d, left: 400}
	wantErr(t, r.tree(d.fd, "top"), ErrBusy)
	left, err := os.ReadDir(filepath.Join(root, "top"))
	if len(left) == 0 || len(left) == 200 || err != nil {
		t.Errorf("%d directories are left, %v; want some", len(left), err)
	}
	check(t, d.Remove("top", true))
	if names := paths(t, d); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}
