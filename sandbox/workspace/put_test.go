package workspace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestPutGet(t *testing.T) {
	for _, userns := range []bool{false, true} {
		root, id := newTmpfs(t, "size=8m", userns), testID
		if userns {
			id += userBase
		}
		old := unix.Umask(0o077)
		defer unix.Umask(old)
		d := openDirAt(t, root, id)
		content := strings.Repeat("0123456789abcdef", 1<<16)
		info, created, err := d.Put(t.Context(), "/workspace/a/b/c.bin", strings.NewReader(content), PutOptions{Mode: 0o751 | fs.ModeSetuid})
		if err != nil || !created {
			t.Fatalf("user namespace %v: created %v, %v", userns, created, err)
		}
		if info.Path != "a/b/c.bin" || info.Name != "c.bin" || info.Size != 1<<20 || info.Type != TypeFile || info.Mode != 0o751 {
			t.Errorf("info is %+v", info)
		}
		if got, err := get(d, "a/b/c.bin"); got != content || err != nil {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		if stat, err := d.Stat("a/b/c.bin"); !cmp.Equal(stat, info) || err != nil {
			t.Errorf("stat is %+v, %v; Put said %+v", stat, err, info)
		}
		for path, mode := range map[string]uint32{"a": 0o40755, "a/b": 0o40755, "a/b/c.bin": 0o100751} {
			var st unix.Stat_t
			check(t, unix.Lstat(filepath.Join(root, path), &st))
			if st.Mode != mode || int(st.Uid) != id || int(st.Gid) != id {
				t.Errorf("%s: mode %o, owner %d:%d", path, st.Mode, st.Uid, st.Gid)
			}
		}
		_, created, err = d.Put(t.Context(), "a/b/c.bin", strings.NewReader("new"), PutOptions{})
		if got, _ := get(d, "a/b/c.bin"); created || err != nil || got != "new" {
			t.Errorf("overwrite: created %v, %v, content %.20q", created, err, got)
		}
		_, _, err = d.Put(t.Context(), "a/b/c.bin", strings.NewReader("no"), PutOptions{NoOverwrite: true})
		wantErr(t, err, ErrExists)
		check(t, d.Remove("a", true))
		if left := paths(t, d); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// A failed upload leaves nothing: no partial file, no temporary file, no
// parents, no space in use, no descriptor.
func TestPutFailureLeavesNothing(t *testing.T) {
	root := newTmpfs(t, "size=1m,nr_inodes=12", false)
	d := openDirAt(t, root, testID)
	put(t, d, "keep", "old")
	check(t, os.Mkdir(filepath.Join(root, "dir"), 0o755))
	check(t, os.Symlink("/etc", filepath.Join(root, "link")))
	check(t, unix.Mkfifo(filepath.Join(root, "fifo"), 0o666))
	check(t, os.Mkdir(filepath.Join(root, "closed"), 0o755)) // of root
	broken := errors.New("connection lost")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	before, fds := paths(t, d), openFDs(t)
	var free, now unix.Statfs_t
	check(t, unix.Statfs(root, &free))
	big := func() io.Reader { return bytes.NewReader(make([]byte, 2<<20)) }
	deep := "n/" + strings.Repeat("n/", 20) + "f" // more inodes than there are
	for _, c := range []struct {
		name string
		r    io.Reader
		ctx  context.Context
		o    PutOptions
		want error
	}{
		{name: "new/deep/f", r: io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), want: broken},
		{name: "keep", r: io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), want: broken},
		{name: "keep", r: big(), want: ErrNoSpace},
		{name: "p/f", r: big(), want: ErrNoSpace},
		{name: deep, want: ErrNoSpace},
		{name: "p/f", r: strings.NewReader("12345"), o: PutOptions{MaxBytes: 4}, want: ErrTooLarge},
		{name: "p/f", ctx: stopped, want: context.Canceled},
		{name: "p/f", r: stuck{}, want: io.ErrNoProgress},
		{name: "keep", o: PutOptions{NoOverwrite: true}, want: ErrExists},
		{name: "dir", o: PutOptions{NoOverwrite: true}, want: ErrIsDirectory},
		{name: "dir", want: ErrIsDirectory},
		{name: "keep/f", want: ErrNotDirectory},
		{name: "link", want: ErrLink},
		{name: "link/f", want: ErrLink},
		{name: "link/new/f", want: ErrLink},
		{name: "fifo", want: ErrNotRegular},
		{name: "fifo/x", want: ErrNotDirectory},
		{name: "closed/f", want: ErrPermission},
		{name: "../f", want: ErrInvalidName},
	} {
		if c.r == nil {
			c.r = strings.NewReader("data")
		}
		if c.ctx == nil {
			c.ctx = t.Context()
		}
		_, created, err := d.Put(c.ctx, c.name, c.r, c.o)
		if !errors.Is(err, c.want) || created {
			t.Errorf("Put(%.20q): created %v, %v; want %v", c.name, created, err, c.want)
		}
		if diff := cmp.Diff(before, paths(t, d)); diff != "" {
			t.Errorf("Put(%.20q) changed the tree (-before +after):\n%s", c.name, diff)
		}
		if content, err := get(d, "keep"); content != "old" {
			t.Errorf("Put(%.20q): the old file holds %q, %v", c.name, content, err)
		}
		check(t, unix.Statfs(root, &now))
		if now.Bfree != free.Bfree || now.Ffree != free.Ffree {
			t.Errorf("Put(%.20q): %d blocks and %d inodes are lost", c.name, free.Bfree-now.Bfree, free.Ffree-now.Ffree)
		}
	}
	if n := openFDs(t); n != fds {
		t.Errorf("%d descriptors are open, %d were", n, fds)
	}
	if _, _, err := d.Put(t.Context(), "x", strings.NewReader(""), PutOptions{MaxBytes: -1}); err == nil {
		t.Error("a negative limit was accepted")
	}
	_, _, err := d.Put(t.Context(), "exact", strings.NewReader("1234"), PutOptions{MaxBytes: 4})
	check(t, err)
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestPutIsInvisibleUntilDone(t *testing.T) {
	d, _ := newDir(t)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, _, err := d.Put(t.Context(), "a/b", r, PutOptions{})
		r.CloseWithError(err) // or the writer would wait for ever
		done <- err
	}()
	w.Write(make([]byte, 3*copyChunk))
	if names := paths(t, d); len(names) != 0 {
		t.Errorf("visible while it is written: %v", names)
	}
	w.Close()
	check(t, <-done)
	if diff := cmp.Diff([]string{"a", "a/b"}, paths(t, d)); diff != "" {
		t.Error(diff)
	}
}

// Many uploads to the same new places: all succeed, exactly one creates.
func TestPutConcurrent(t *testing.T) {
	d, root := newDir(t)
	for round := range 50 {
		name := "r/" + string(rune('A'+round%26)) + strings.Repeat("x", round) + "/a/b/f"
		var creators sync.Map
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				_, created, err := d.Put(t.Context(), name, strings.NewReader(strings.Repeat(string(rune('0'+i)), 1000)), PutOptions{})
				if err != nil {
					t.Error(err)
				}
				if created {
					creators.Store(i, true)
				}
			})
		}
		group.Wait()
		n := 0
		creators.Range(func(any, any) bool { n++; return true })
		got, err := get(d, name)
		if n != 1 || err != nil || len(got) != 1000 || strings.Trim(got, got[:1]) != "" {
			t.Fatalf("%d created it; %d bytes, %v", n, len(got), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(root, "r/*/a/b/.*")); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

// No thread may keep the session's ids.
func TestOwnerIDsAreRestored(t *testing.T) {
	d, _ := newDir(t)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 100 {
				put(t, d, "f", "x")
			}
		})
	}
	group.Wait()
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	check(t, err)
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		check(t, err)
		if !strings.Contains(string(status), "Uid:\t0\t0\t0\t0\n") || !strings.Contains(string(status), "Gid:\t0\t0\t0\t0\n") {
			t.Errorf("%s has other ids:\n%s", task, status)
		}
	}
}
