package workspace

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"
)

// Root itself can't write into a tmpfs of another user namespace: the reason why
// Put takes the session's ids.
func TestRootCannotCreateInUserNamespace(t *testing.T) {
	d := openDirAt(t, newTmpfs(t, "size=1m", true), 0)
	_, _, err := d.Put(t.Context(), "f", strings.NewReader("x"), PutOptions{})
	wantErr(t, err, unix.EOVERFLOW)
}

func TestOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	check(t, os.Symlink("/", file+"link"))
	for _, path := range []string{file, file + "link", file + "none"} {
		if d, err := Open(path, 1, 1); err == nil {
			d.Close()
			t.Errorf("Open(%q) worked", path)
		}
	}
	if _, err := Open("/", -1, 0); err == nil {
		t.Error("a negative user id was accepted")
	}
	if _, err := OpenFD(-1, 0, 0); err == nil {
		t.Error("a bad descriptor was accepted")
	}
}

func TestFileIsAReadSeeker(t *testing.T) {
	d, root := newDir(t)
	content := strings.Repeat("abc", 1000)
	put(t, d, "f", content)
	check(t, os.Link(filepath.Join(root, "f"), filepath.Join(root, "hard")))
	f, err := d.Get("hard")
	check(t, err)
	defer f.Close()
	if err := iotest.TestReader(f, []byte(content)); err != nil {
		t.Error(err)
	}
	if _, err := f.Seek(-1, io.SeekStart); err == nil {
		t.Error("a negative position was accepted")
	}
	if _, err := f.Seek(0, 9); err == nil {
		t.Error("whence 9 was accepted")
	}
	_, err = f.Seek(0, io.SeekStart)
	check(t, err)
	req := httptest.NewRequest("GET", "/", nil)
	req.Header.Set("Range", "bytes=-5")
	rec := httptest.NewRecorder()
	http.ServeContent(rec, req, "f", f.Info().ModifiedAt, f)
	if rec.Code != http.StatusPartialContent || rec.Body.String() != "bcabc" {
		t.Errorf("a range request gave %d %q", rec.Code, rec.Body)
	}
}

func TestFileSizeIsFixed(t *testing.T) {
	d, root := newDir(t)
	put(t, d, "f", "12345678")
	f, err := d.Get("f")
	check(t, err)
	defer f.Close()
	g, err := os.OpenFile(filepath.Join(root, "f"), os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	defer g.Close()
	g.WriteString("more")
	if b, err := io.ReadAll(f); string(b) != "12345678" || err != nil {
		t.Errorf("of a file that grew: %q, %v", b, err)
	}
	check(t, g.Truncate(5))
	f.Seek(0, io.SeekStart)
	b, err := io.ReadAll(f)
	if string(b) != "12345" {
		t.Errorf("of a file that shrank: %q", b)
	}
	wantErr(t, err, io.ErrUnexpectedEOF)
}

// None of these may block, open a device, or be read.
func TestGetRefusesWhatIsNoFile(t *testing.T) {
	d, root := newDir(t)
	at := func(name string) string { return filepath.Join(root, name) }
	check(t, unix.Mkfifo(at("fifo"), 0o666))
	check(t, unix.Mknod(at("zero"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
	check(t, unix.Mknod(at("disk"), unix.S_IFBLK|0o666, int(unix.Mkdev(254, 0))))
	check(t, os.Symlink("f", at("link")))
	check(t, os.Symlink("/etc/passwd", at("out")))
	check(t, os.Symlink("dir", at("dirlink")))
	check(t, os.Symlink("/proc/self/fd/0", at("magic")))
	put(t, d, "f", "x")
	put(t, d, "dir/f", "x")
	l, err := net.Listen("unix", at("socket"))
	check(t, err)
	defer l.Close()

	// A process that waits at the FIFO is not let go by Get.
	writer := make(chan error, 1)
	go func() {
		f, err := os.OpenFile(at("fifo"), os.O_WRONLY, 0)
		if err == nil {
			f.Close()
		}
		writer <- err
	}()
	for name, want := range map[string]error{
		"fifo": ErrNotRegular, "zero": ErrNotRegular, "disk": ErrNotRegular, "socket": ErrNotRegular,
		"dir": ErrIsDirectory, ".": ErrIsDirectory, "link": ErrLink, "out": ErrLink, "magic": ErrLink,
		"dirlink/f": ErrLink, "f/x": ErrNotDirectory, "fifo/x": ErrNotDirectory, "none": ErrNotFound,
		"dir/none": ErrNotFound, "none/f": ErrNotFound, "../f": ErrInvalidName, "": ErrInvalidName,
	} {
		for range 20 {
			if f, err := d.Get(name); !errors.Is(err, want) {
				t.Errorf("Get(%q) = %v, %v; want %v", name, f, err, want)
			}
		}
	}
	select {
	case err := <-writer:
		t.Errorf("Get opened the FIFO: its writer went on (%v)", err)
	case <-time.After(20 * time.Millisecond):
	}
	r, err := os.OpenFile(at("fifo"), os.O_RDONLY|unix.O_NONBLOCK, 0)
	check(t, err)
	defer r.Close()
	check(t, <-writer)
	types := map[string]string{
		"fifo": TypeOther, "zero": TypeOther, "disk": TypeOther, "socket": TypeOther, "dir": TypeDirectory,
		".": TypeDirectory, "link": TypeSymlink, "out": TypeSymlink, "dirlink": TypeSymlink, "f": TypeFile,
	}
	for name, want := range types {
		if info, err := d.Stat(name); info.Type != want || err != nil || (want != TypeFile && info.Size != 0) {
			t.Errorf("Stat(%q) = %+v, %v; want type %s", name, info, err, want)
		}
	}
	_, err = d.Stat("dirlink/f")
	wantErr(t, err, ErrLink)
}

// What is mounted in the workspace, say a FUSE file system that never answers,
// is neither read nor written nor removed.
func TestMountsAreNotCrossed(t *testing.T) {
	root := newTmpfs(t, "size=1m", false, "mnt")
	d := openDirAt(t, root, testID)
	inside := filepath.Join(root, "mnt/f")
	check(t, os.WriteFile(inside, []byte("x"), 0o666))
	_, err := d.Get("mnt/f")
	wantErr(t, err, ErrNotRegular)
	_, err = d.Stat("mnt/f")
	wantErr(t, err, ErrNotRegular)
	_, _, err = d.List(t.Context(), "mnt", true, 0)
	wantErr(t, err, ErrNotRegular)
	for _, name := range []string{"mnt", "mnt/f", "mnt/new"} {
		_, _, err = d.Put(t.Context(), name, strings.NewReader("y"), PutOptions{})
		wantErr(t, err, ErrNotRegular)
	}
	wantErr(t, d.Remove("mnt/f", true), ErrNotRegular)
	infos, _, err := d.List(t.Context(), "", true, 0)
	if len(infos) != 1 || infos[0].Type != TypeOther || err != nil {
		t.Errorf("listed %+v, %v", infos, err)
	}
	// The kernel detaches a mount of another mount namespace when its place is
	// removed. What is in it stays.
	f, err := os.Open(inside)
	check(t, err)
	defer f.Close()
	check(t, d.Remove("mnt", true))
	var st unix.Stat_t
	check(t, unix.Fstat(int(f.Fd()), &st))
	if b, err := io.ReadAll(f); string(b) != "x" || st.Nlink != 1 || err != nil {
		t.Errorf("the file holds %q and has %d names, %v", b, st.Nlink, err)
	}
}

func TestGetIgnoresModes(t *testing.T) {
	d, root := newDir(t)
	put(t, d, "dir/f", "x")
	check(t, os.Chmod(filepath.Join(root, "dir/f"), 0))
	check(t, os.Chmod(filepath.Join(root, "dir"), 0))
	if got, err := get(d, "dir/f"); got != "x" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// A session can hold a lease on its file: opening it would then wait 45 s.
func TestGetDoesNotWaitForLease(t *testing.T) {
	d, root := newDir(t)
	put(t, d, "f", "x")
	f, err := os.OpenFile(filepath.Join(root, "f"), os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	// Without a signal to another process: SIGIO's default would end this one.
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETSIG, int(unix.SIGURG))
	check(t, err)
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	check(t, err)
	start := time.Now()
	_, err = d.Get("f")
	wantErr(t, err, ErrBusy)
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
	check(t, d.Remove("f", false))
}

func TestClose(t *testing.T) {
	fds := openFDs(t)
	root := newTmpfs(t, "size=4m", false)
	withHelper := openFDs(t) // the helper's pipes
	d, err := Open(root, testID, testID)
	check(t, err)
	put(t, d, "f", "content")
	f, err := d.Get("f")
	check(t, err)
	reader, writer := io.Pipe()
	upload := make(chan error, 1)
	go func() {
		_, _, err := d.Put(t.Context(), "slow", reader, PutOptions{})
		reader.CloseWithError(err)
		upload <- err
	}()
	writer.Write([]byte("half"))
	check(t, d.Close()) // while the upload's reader hangs
	check(t, d.Close())
	if n := openFDs(t); n != withHelper {
		t.Errorf("after Close %d descriptors are open, %d were", n, withHelper)
	}
	if withHelper <= fds {
		t.Errorf("%d descriptors with the helper, %d without: the count is wrong", withHelper, fds)
	}
	_, err = f.Read(make([]byte, 1))
	wantErr(t, err, ErrClosed)
	wantErr(t, f.Close(), ErrClosed)
	go writer.Write([]byte("rest"))
	wantErr(t, <-upload, ErrClosed)
	_, err = d.Get("f")
	wantErr(t, err, ErrClosed)
	_, err = d.Stat("f")
	wantErr(t, err, ErrClosed)
	_, _, err = d.List(t.Context(), "", true, 0)
	wantErr(t, err, ErrClosed)
	_, _, err = d.Put(t.Context(), "g", strings.NewReader(""), PutOptions{})
	wantErr(t, err, ErrClosed)
	wantErr(t, d.Remove("f", false), ErrClosed)
}

func TestFileCloseTwice(t *testing.T) {
	d, _ := newDir(t)
	put(t, d, "f", "x")
	f, err := d.Get("f")
	check(t, err)
	check(t, f.Close())
	wantErr(t, f.Close(), ErrClosed)
	_, err = f.Read(make([]byte, 1))
	wantErr(t, err, ErrClosed)
}
