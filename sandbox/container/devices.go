package container

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// deviceNodes are what a session finds in /dev, beside its terminals.
var deviceNodes = []struct {
	name         string
	major, minor uint32
}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}}

// Names below the data directory and the directory of mount points.
const (
	devicesDir    = "devices"
	nodesDir      = "nodes"
	emptyDir      = "empty"
	devicesSuffix = ".devices"
)

// installDevices makes the nodes that every sandbox gets an overlay of.
func installDevices(dataDir string) (dir string, err error) {
	dir = filepath.Join(dataDir, supportLayers, devicesDir)
	for _, d := range []string{dir, filepath.Join(dir, nodesDir), filepath.Join(dir, emptyDir)} {
		if err := makeDir(d, 0o755); err != nil {
			return "", err
		}
	}
	for _, n := range deviceNodes {
		path := filepath.Join(dir, nodesDir, n.name)
		err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(n.major, n.minor)))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("make the device node %s (the daemon needs CAP_MKNOD): %w", path, err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			return "", fmt.Errorf("make the device node %s: %w", path, err)
		}
	}
	return dir, nil
}
