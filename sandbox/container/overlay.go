package container

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// mounter mounts the root file systems of sandboxes. It works on a thread of
// its own whose working directory is the data directory, so that the layers
// can be named relative to it: a session sees the names in its mountinfo, and
// they should tell nothing about the host. The daemon runs in a private mount
// namespace, so none of this is seen outside, and nothing is left when it dies.
type mounter struct {
	dataDir string
	jobs    chan func()
	done    chan struct{}
}

const rootFlags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV

func newMounter(dataDir string) (*mounter, error) {
	m := &mounter{dataDir: dataDir, jobs: make(chan func()), done: make(chan struct{})}
	ready := make(chan error, 1)
	go m.run(ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	return m, nil
}

func (m *mounter) run(ready chan<- error) {
	defer close(m.done)
	// Never unlocked: the thread, whose file system attributes are no longer
	// the process's, ends with the goroutine.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		ready <- fmt.Errorf("give the mount thread a working directory of its own: %w", err)
		return
	}
	if err := unix.Chdir(m.dataDir); err != nil {
		ready <- fmt.Errorf("enter the data directory %s: %w", m.dataDir, err)
		return
	}
	ready <- nil
	for job := range m.jobs {
		job()
	}
}

func (m *mounter) close() {
	close(m.jobs)
	<-m.done
}

// mount puts an overlay of the layers, the first on top, on the directory target. The layers
// are directories below the data directory. Nothing of it can be written.
func (m *mounter) mount(ctx context.Context, target string, layers ...string) error {
	options := "lowerdir="
	for i, layer := range layers {
		rel, err := filepath.Rel(m.dataDir, layer)
		if err != nil || !filepath.IsLocal(rel) {
			return fmt.Errorf("mount the root: layer %s is not below the data directory %s", layer, m.dataDir)
		}
		if i > 0 {
			options += ":"
		}
		options += rel
	}
	if err := m.do(ctx, func() error { return mountRoot(target, options) }); err != nil {
		return fmt.Errorf("mount the root (overlay): %w", err)
	}
	return nil
}

// mountDevices puts device nodes on the directory target that nobody else uses:
// what is locked, and when it was touched, is told by the node, and a node of
// the host's would tell it to all sessions. An overlay has nodes of its own.
func (m *mounter) mountDevices(ctx context.Context, target, nodes string) error {
	rel, err := filepath.Rel(m.dataDir, nodes)
	if err != nil {
		return fmt.Errorf("mount the devices: %w", err)
	}
	// Without a layer that can be written, an overlay must have two.
	options := "lowerdir=" + filepath.Join(rel, nodesDir) + ":" + filepath.Join(rel, emptyDir)
	const flags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NOEXEC
	if err := m.do(ctx, func() error { return unix.Mount("overlay", target, "overlay", flags, options) }); err != nil {
		return fmt.Errorf("mount the devices (overlay): %w", err)
	}
	return nil
}

// do runs a job on the mount thread.
func (m *mounter) do(ctx context.Context, job func() error) error {
	result := make(chan error, 1)
	select {
	case m.jobs <- func() { result <- job() }:
		return <-result
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// unmount takes the overlay off target. A container that has started keeps its
// own copy of the mount.
func (m *mounter) unmount(target string) error {
	err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: not mounted
		return fmt.Errorf("unmount the root: %w", err)
	}
	return nil
}
