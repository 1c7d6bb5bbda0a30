package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/cgroups"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// sweepTimeout is how long the processes of an earlier daemon may take to die.
const sweepTimeout = 10 * time.Second

// sweep ends and removes everything that an earlier daemon with the same state
// directory left. It finds things by their place, not by records, so that it
// works after a crash at any point, and may be run again.
func (b *Backend) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	root, err := newGroup(b.tree.root, &cgroups.Resources{})
	if err != nil {
		return err
	}
	found := 0
	if root.Exists() {
		pids, err := root.GetAllPids()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("list left-over processes: %w", err)
		}
		found = len(pids)
		if err := root.killAll(ctx, 0); err != nil {
			return err
		}
	}
	// What was killed there counts until the host's init has reaped it.
	for err = root.remove(); errors.Is(err, unix.EBUSY) && ctx.Err() == nil; {
		err = root.remove()
	}
	if err != nil {
		return err
	}
	for _, name := range []string{containersDir, mountsDir, socketsDir} {
		entries, err := os.ReadDir(filepath.Join(b.cfg.StateDir, name))
		if err != nil {
			return fmt.Errorf("list left-over state: %w", err)
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(b.cfg.StateDir, name, e.Name())); err != nil {
				return fmt.Errorf("remove left-over state: %w", err)
			}
			found++
		}
	}
	if found > 0 {
		b.log.Info("swept what an earlier daemon left", zap.Int("things", found))
	}
	return nil
}
