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

func TestPackagesAreBounded(t *testing.T) {
	links := t.TempDir()
	makeWheel(t, links, "zeros", "1.0", "py3-none-any", map[string]string{
		"zeros/__init__.py": "", "zeros/data": strings.Repeat("\x00", 32<<20),
	})
	eachInstaller(t, []string{""}, func(t *testing.T, python string) {
		s := newStore(t)
		build := func(most int64) error {
			_, err := s.Build(context.Background(), BuildOptions{
				Python: python, Requirements: []string{"zeros"}, FindLinks: []string{links}, NoIndex: true, MaxBytes: most,
			})
			return err
		}
		err := build(8 << 20)
		if large := (*tooLargeError)(nil); !errors.As(err, &large) || !strings.Contains(err.Error(), "--max-size") {
			t.Errorf("a wheel of 32 MiB where 8 are allowed: %v", err)
		}
		if list, err := s.List(); err != nil || len(list) != 0 {
			t.Errorf("images: %v, %v", list, err)
		}
		if err := build(-1); err == nil || !strings.Contains(err.Error(), "max-size") {
			t.Errorf("a size below 0: %v", err)
		}
		if err := build(1 << 30); err != nil {
			t.Errorf("a wheel of 32 MiB where 1,024 are allowed: %v", err)
		}
	})
}

// What grows while it is looked at ends the context.
func TestBoundedWhileItGrows(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := bounded(context.Background(), dir, 1<<20)
	defer stop()
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(20 * boundEvery):
		t.Fatal("the context goes on")
	}
	if large := (*tooLargeError)(nil); !errors.As(context.Cause(ctx), &large) {
		t.Error(context.Cause(ctx))
	}
}
