package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"default": true, "py3.11": true, "a_b-c": true, "0": true, strings.Repeat("x", 64): true,
		"": false, "-a": false, ".a": false, "A": false, "a/b": false, "..": false, "a b": false, "é": false,
		strings.Repeat("a", 64): false, // a digest
		strings.Repeat("x", 65): false,
	} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("checkName(%q) = %v", name, err)
		}
	}
}

// Sessions must reach their files whatever the umask of the daemon is.
func TestOpenMakesDirectories(t *testing.T) {
	requireRoot(t)
	dir := filepath.Join(t.TempDir(), "data")
	old := syscall.Umask(0o077)
	s, err := Open(dir)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		dir: 0o711, s.path(imagesDir): 0o711, s.path(namesDir): 0o755, s.path(tempDir): 0o700,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	if err := os.Chown(s.path(imagesDir), 1000, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a store whose images belong to somebody else was opened")
	}
}

func TestUnknownImage(t *testing.T) {
	s := newStore(t)
	addImage(t, s, "known", "1")
	for _, name := range []string{"nope", "../../etc/passwd", strings.Repeat("0", 64)} {
		if _, _, err := s.Acquire(name); !errors.Is(err, ErrNotFound) {
			t.Errorf("Acquire(%q) = %v", name, err)
		}
	}
	err := s.Remove(context.Background(), "nope")
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "known") || !strings.Contains(err.Error(), "image build") {
		t.Errorf("Remove = %v, want it to say what there is and what to do", err)
	}
}

func TestAnImageInUseStays(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	img := addImage(t, s, DefaultName, "1")
	_, release, err := s.Acquire(DefaultName)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(ctx, DefaultName); !errors.Is(err, ErrInUse) {
		t.Errorf("Remove of an image in use = %v", err)
	}
	// The name may move on; the content stays for its user.
	if next := addImage(t, s, DefaultName, "2"); next.Digest == img.Digest {
		t.Fatal("other content has the same digest")
	}
	if removed, err := s.Prune(ctx); err != nil || len(removed) != 0 {
		t.Errorf("Prune = %v, %v", removed, err)
	}
	if _, err := s.Resolve(img.Digest); err != nil {
		t.Error(err)
	}
	release()
	if removed, err := s.Prune(ctx); err != nil || len(removed) != 1 || removed[0] != img.Digest {
		t.Errorf("Prune of what nobody uses = %v, %v", removed, err)
	}
	if _, err := s.Resolve(img.Digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("Resolve = %v", err)
	}
}

func TestRemove(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	img := addImage(t, s, "a", "1")
	addImage(t, s, "b", "1")
	if err := s.Remove(ctx, img.Digest); err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("Remove by digest = %v", err)
	}
	if err := s.Remove(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if again, err := s.Resolve("b"); err != nil || again.Digest != img.Digest {
		t.Errorf("the other name: %v, %v", again, err)
	}
	if err := s.Remove(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{imagesDir, namesDir, tempDir} {
		if entries, err := os.ReadDir(s.path(dir)); err != nil || len(entries) != 0 {
			t.Errorf("left in %s: %v, %v", dir, entries, err)
		}
	}
}

// Somebody who acquires an image while its name moves from one to the next
// gets one that stays.
func TestAcquireWhileTheNameMoves(t *testing.T) {
	s := newStore(t)
	addImage(t, s, DefaultName, "0")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20 {
			addImage(t, s, DefaultName, strings.Repeat("x", i+1))
			if _, err := s.Prune(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}()
	for n := 0; ; n++ {
		img, release, err := s.Acquire(DefaultName)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := os.Stat(filepath.Join(img.Root, "usr/bin/x")); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
		release()
		select {
		case <-done:
			if n < 5 {
				t.Errorf("only %d times", n)
			}
			return
		default:
		}
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	img := addImage(t, s, DefaultName, "fine")
	at := func(inside string) string { return filepath.Join(img.Root, inside) }
	ls, dir := at("usr/bin/x"), at("workspace")
	for name, c := range map[string]struct {
		want     string
		do, undo func() error
	}{
		"content": {"/usr/bin/x was changed: its content",
			func() error { return os.WriteFile(ls, []byte("evil"), 0o755) },
			func() error { return os.WriteFile(ls, []byte("fine"), 0o755) }},
		"size": {"/usr/bin/x was changed: size 3 instead of 4",
			func() error { return os.WriteFile(ls, []byte("bad"), 0o755) },
			func() error { return os.WriteFile(ls, []byte("fine"), 0o755) }},
		"mode": {"/usr/bin/x was changed: mode 777 instead of 755",
			func() error { return os.Chmod(ls, 0o777) }, func() error { return os.Chmod(ls, 0o755) }},
		"set-uid": {"/usr/bin/x has a set-id bit",
			func() error { return os.Chmod(ls, 0o755|os.ModeSetuid) }, func() error { return os.Chmod(ls, 0o755) }},
		"capability": {"/usr/bin/x has file capabilities",
			// Revision 2, cap_net_raw permitted and effective.
			func() error {
				return unix.Setxattr(ls, "security.capability", []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0)
			},
			func() error { return unix.Removexattr(ls, "security.capability") }},
		"owner": {"/usr/bin/x belongs to 1000:0",
			func() error { return os.Chown(ls, 1000, 0) }, func() error { return os.Chown(ls, 0, 0) }},
		"added": {"/usr/new was added",
			func() error { return os.WriteFile(at("usr/new"), nil, 0o644) }, func() error { return os.Remove(at("usr/new")) }},
		"missing": {"/etc/hosts is missing",
			func() error { return os.Rename(at("etc/hosts"), s.path("hosts")) },
			func() error { return os.Rename(s.path("hosts"), at("etc/hosts")) }},
		"link at a mount point": {"/workspace is not a directory",
			func() error { return errors.Join(os.Remove(dir), os.Symlink("/etc", dir)) },
			func() error { return errors.Join(os.Remove(dir), os.Mkdir(dir, 0o755)) }},
		"device": {"/usr/dev is neither",
			func() error { return unix.Mknod(at("usr/dev"), unix.S_IFCHR|0o644, int(unix.Mkdev(1, 3))) },
			func() error { return os.Remove(at("usr/dev")) }},
		"list": {"list of its files",
			func() error { return os.Rename(s.path(imagesDir, img.Digest, listFile), s.path("list")) },
			func() error { return os.Rename(s.path("list"), s.path(imagesDir, img.Digest, listFile)) }},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(ctx, DefaultName); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Verify = %v, want %q in it", err, c.want)
			}
			if err := c.undo(); err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(ctx, DefaultName); err != nil {
				t.Errorf("the damage is undone, but Verify = %v", err)
			}
		})
	}
}

// Building the same again mends an image, but not below those who use it.
func TestMending(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	img := addImage(t, s, DefaultName, "fine")
	if err := os.WriteFile(filepath.Join(img.Root, "etc/passwd"), []byte("evil"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, release, err := s.Acquire(DefaultName)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.publish(ctx, img.Digest, t.TempDir()); !errors.Is(err, ErrInUse) {
		t.Errorf("publish = %v", err)
	}
	release()
	if again := addImage(t, s, DefaultName, "fine"); again.Digest != img.Digest {
		t.Errorf("building again gives %s, not %s", again.Digest, img.Digest)
	}
	if err := s.Verify(ctx, DefaultName); err != nil {
		t.Errorf("building again did not mend the image: %v", err)
	}
}

// One damaged name or description must not keep the others from being used.
func TestDamagedDescriptions(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	addImage(t, s, "good", "1")
	bad := addImage(t, s, "bad", "2")
	if err := os.WriteFile(s.path(imagesDir, bad.Digest, infoFile), []byte(`{"digest":"../../x"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(namesDir, "worse"), []byte("rot"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bad", "worse"} {
		if _, _, err := s.Acquire(name); !errors.Is(err, ErrDamaged) {
			t.Errorf("Acquire(%q) = %v", name, err)
		}
	}
	list, err := s.List()
	if !errors.Is(err, ErrDamaged) || len(list) != 1 || list[0].Name != "good" {
		t.Errorf("List = %v, %v", list, err)
	}
	if removed, err := s.Prune(ctx); err != nil || len(removed) != 0 {
		t.Errorf("Prune = %v, %v", removed, err)
	}
	addImage(t, s, "bad", "2") // mends it
	if _, err := s.Resolve("bad"); err != nil {
		t.Error(err)
	}
	if err := s.Remove(ctx, "worse"); err != nil {
		t.Error(err)
	}
	if list, err := s.List(); err != nil || len(list) != 2 {
		t.Errorf("List = %v, %v", list, err)
	}
}

func TestBuildsWaitForEachOther(t *testing.T) {
	s := newStore(t)
	unlock, err := s.lock(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(context.Background())
	_, err = s.Build(ctx, BuildOptions{Progress: func(line string) {
		if strings.HasPrefix(line, "waiting") {
			cancel(stop)
		}
	}})
	if !errors.Is(err, stop) {
		t.Errorf("Build = %v", err)
	}
}
