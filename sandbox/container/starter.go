package container

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/runc/libcontainer/exeseal"
	"golang.org/x/sys/unix"
)

//go:embed starter/starter
var starterProgram []byte

// startersDir is the directory of starters, below the data directory.
const startersDir = "starters"

// Names in a starter's directory. The second is what the kernel calls the first
// when the daemon's program is replaced on disk while it runs.
const (
	starterName        = "tcid"
	starterNameDeleted = starterName + " (deleted)"
)

// PlaceStarter has libcontainer start containers with the starter instead of the
// whole program, once the path that it returns is what the process executes. The
// mount namespace must be the process's own.
//
// libcontainer executes what it finds at the path of /proc/self/exe, through an
// overlay of the directory there, so that no container can write to it. An overlay
// shows a directory without what is mounted in it. So the directory holds the
// starter, and the whole program is mounted over it: the daemon executes the mount,
// libcontainer sees what is below.
func PlaceStarter(dataDir string) (path string, err error) {
	dir, err := installStarter(dataDir)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, starterName)
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	if err := unix.Mount(self, path, "", unix.MS_BIND, ""); err != nil {
		return "", fmt.Errorf("mount this program over the starter: %w", err)
	}
	// The program may have been replaced since it was started.
	if err := isThisProgram(path); err != nil {
		return "", errors.Join(err, os.NewSyscallError("umount", unix.Unmount(path, unix.MNT_DETACH)))
	}
	return path, nil
}

func isThisProgram(path string) error {
	a, err1 := os.Stat("/proc/self/exe")
	b, err2 := os.Stat(path)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("look at this program: %w", err)
	}
	if !os.SameFile(a, b) {
		return errors.New("this program has been replaced since it was started")
	}
	return nil
}

// installStarter writes the starter into a directory that is named by its content.
func installStarter(dataDir string) (dir string, err error) {
	sum := sha256.Sum256(starterProgram)
	dir = filepath.Join(dataDir, startersDir, hex.EncodeToString(sum[:])[:16])
	if err := checkStarter(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := install(dir, writeStarter); err != nil {
		return "", err
	}
	return dir, checkStarter(dir)
}

func writeStarter(dir string) error {
	path := filepath.Join(dir, starterName)
	if err := os.WriteFile(path, starterProgram, 0o755); err != nil {
		return err
	}
	return os.Link(path, filepath.Join(dir, starterNameDeleted))
}

// checkStarter finds one that was cut short when the host went down. It can't be
// replaced: another daemon may have its program mounted over it.
func checkStarter(dir string) error {
	for _, name := range []string{starterName, starterNameDeleted} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("look at the starter: %w", err)
		}
		if info.Size() != int64(len(starterProgram)) {
			return fmt.Errorf("the starter %s is damaged; remove it", filepath.Join(dir, name))
		}
	}
	return nil
}

// usesStarter asks libcontainer what it will start containers with, which is this
// whole program where PlaceStarter failed.
func usesStarter(stateDir string) (bool, error) {
	exe, err := exeseal.CloneSelfExe(stateDir)
	if err != nil {
		return false, fmt.Errorf("look at what starts containers: %w", err)
	}
	defer exe.Close()
	info, err := exe.Stat()
	if err != nil {
		return false, fmt.Errorf("look at what starts containers: %w", err)
	}
	return info.Size() == int64(len(starterProgram)), nil
}
