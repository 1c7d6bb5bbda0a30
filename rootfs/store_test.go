package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"default": true, "py3.11": true, "a_b-c": true, "0": true,
		"": false, "-a": false, ".a": false, "A": false, "a/b": false, "..": false, "a b": false, "é": false,
		strings.Repeat("a", 64): false, // what a digest looks like
	} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("checkName(%q) = %v", name, err)
		}
	}
}

func TestUnknownImage(t *testing.T) {
	s := newStore(t)
	for _, name := range []string{"nope", "../../etc/passwd", strings.Repeat("0", 64)} {
		if _, _, err := s.Acquire(name); !errors.Is(err, ErrNotFound) {
			t.Errorf("Acquire(%q) = %v", name, err)
		}
	}
	if err := s.Remove(context.Background(), "nope"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Remove = %v", err)
	}
}

func TestAnImageInUseStays(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	img := mustBuild(t, s, BuildOptions{})
	_, release, err := s.Acquire(DefaultName)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(ctx, DefaultName); !errors.Is(err, ErrInUse) {
		t.Errorf("Remove of an image in use = %v", err)
	}
	// The name may move on; the content stays for its user.
	if err := os.Remove(s.path(namesDir, DefaultName)); err != nil {
		t.Fatal(err)
	}
	if removed, err := s.Prune(ctx); err != nil || len(removed) != 0 {
		t.Errorf("Prune = %v, %v", removed, err)
	}
	if _, err := s.Resolve(img.Digest); err != nil {
		t.Error(err)
	}
	release()
	if removed, err := s.Prune(ctx); err != nil || len(removed) != 1 {
		t.Errorf("Prune of what nobody uses = %v, %v", removed, err)
	}
	if entries, _ := os.ReadDir(s.path(imagesDir)); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	img := mustBuild(t, s, BuildOptions{})
	passwd := filepath.Join(img.Root, "etc/passwd")
	for name, damage := range map[string]struct{ do, undo func() error }{
		"content": {
			func() error { return os.WriteFile(passwd, []byte("evil"), 0o644) }, nil},
		"mode": {
			func() error { return os.Chmod(passwd, 0o666) }, func() error { return os.Chmod(passwd, 0o644) }},
		"set-uid": {
			func() error { return os.Chmod(filepath.Join(img.Root, "usr/bin/ls"), 0o755|os.ModeSetuid) },
			func() error { return os.Chmod(filepath.Join(img.Root, "usr/bin/ls"), 0o755) }},
		"added": {
			func() error { return os.WriteFile(filepath.Join(img.Root, "usr/new"), nil, 0o644) },
			func() error { return os.Remove(filepath.Join(img.Root, "usr/new")) }},
		"owner": {
			func() error { return os.Chown(passwd, 1000, 0) }, func() error { return os.Chown(passwd, 0, 0) }},
	} {
		if name == "content" {
			continue // last, since building again mends it
		}
		if err := damage.do(); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(ctx, DefaultName); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Verify = %v", name, err)
		}
		if err := damage.undo(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Verify(ctx, DefaultName); err != nil {
		t.Fatalf("all damage is undone, but Verify = %v", err)
	}
	if err := os.WriteFile(passwd, []byte("evil"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := s.Verify(ctx, DefaultName)
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "/etc/passwd") {
		t.Errorf("Verify = %v, want it to name the file", err)
	}
	if again := mustBuild(t, s, BuildOptions{}); again.Digest != img.Digest {
		t.Errorf("building again gives %s, not %s", again.Digest, img.Digest)
	}
	if err := s.Verify(ctx, DefaultName); err != nil {
		t.Errorf("building again did not mend the image: %v", err)
	}
}

// A build that is killed leaves nothing that can be seen, and the next one
// removes what it left.
func TestAKilledBuild(t *testing.T) {
	s := newStore(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	killed := errors.New("killed")
	_, err := s.Build(ctx, BuildOptions{Progress: func(line string) {
		if line == "copying shared libraries" {
			cancel(killed)
		}
	}})
	if !errors.Is(err, killed) && !errors.Is(err, context.Canceled) {
		t.Fatalf("Build = %v", err)
	}
	// What SIGKILL would have left.
	left := s.path(tempDir, "build-dead")
	if err := os.MkdirAll(filepath.Join(left, rootDir), 0o755); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Errorf("List = %v, %v", list, err)
	}
	mustBuild(t, s, BuildOptions{})
	if entries, _ := os.ReadDir(s.path(tempDir)); len(entries) != 0 {
		t.Errorf("left in tmp: %v", entries)
	}
}

func TestBuildsWaitForEachOther(t *testing.T) {
	s := newStore(t)
	unlock, err := s.lock(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := s.Build(context.Background(), BuildOptions{Progress: func(line string) {
			if strings.HasPrefix(line, "waiting") {
				close(waiting)
			}
		}})
		done <- err
	}()
	<-waiting
	unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
	// A wait ends with its context.
	unlock, err = s.lock(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Build(ctx, BuildOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Build = %v", err)
	}
}
