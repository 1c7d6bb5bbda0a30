package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockPoll              = 100 * time.Millisecond
	lockMode  os.FileMode = 0o600
	lockFlags             = unix.O_NOFOLLOW | unix.O_CLOEXEC
)

// lock waits for the store's lock, which whoever changes names or removes
// images holds. waiting, which may be nil, is called once when that takes a
// while.
func (s *Store) lock(ctx context.Context, waiting func()) (unlock func(), err error) {
	for first := true; ; first = false {
		f, err := flock(s.path(storeLock), unix.O_CREAT, unix.LOCK_EX)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock the image store: %w", err)
		}
		if first && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the image store's lock: %w", context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
}

// use locks an image against removal (LOCK_SH), or for it (LOCK_EX). It fails
// with ErrNotExist when there is no such image, and with EWOULDBLOCK when
// others hold it.
func (s *Store) use(digest string, how int) (*os.File, error) {
	return flock(s.path(imagesDir, digest, useLock), 0, how)
}

func flock(path string, flags, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|lockFlags|flags, lockMode)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
