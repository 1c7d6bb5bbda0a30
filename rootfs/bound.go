package rootfs

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

const (
	// DefaultMaxBytes is what the packages of an image may unpack to: a wheel of a
	// megabyte can hold gigabytes of zeros.
	DefaultMaxBytes = 16 << 30
	// maxFiles is how many files, directories and links they may have.
	maxFiles = 1_000_000
	// boundEvery is how often an installer at work is looked at.
	boundEvery = time.Second
)

// tooLargeError says that packages unpack to more than is allowed.
type tooLargeError struct{ what string }

func (e *tooLargeError) Error() string {
	return "the packages unpack to more than " + e.what + "; leave some out, or allow more with --max-size"
}

// bounded returns a context that ends when what lies below dir has grown beyond
// the bounds, with that as its cause. Call stop when nothing is added any more.
func bounded(ctx context.Context, dir string, most int64) (watched context.Context, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(boundEvery)
		defer tick.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-tick.C:
			}
			if err := checkSize(dir, most); err != nil {
				cancel(err)
				return
			}
		}
	}()
	return watched, func() {
		cancel(nil)
		<-done
	}
}

// checkSize adds up what lies below dir. What vanishes meanwhile is not counted.
func checkSize(dir string, most int64) error {
	var bytes, files int64
	return filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		files++
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		switch {
		case bytes > most:
			return &tooLargeError{fmt.Sprintf("%d MiB", most>>20)}
		case files > maxFiles:
			return &tooLargeError{fmt.Sprintf("%d files", maxFiles)}
		}
		return nil
	})
}
