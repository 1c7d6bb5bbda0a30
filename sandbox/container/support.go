package container

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tcid/sandbox/kernel"
	"tcid/sandbox/seccomp"
)

//go:embed init/tcid-init
var initProgram []byte

// Paths inside a container. supportDir exists, empty, in every image.
const (
	supportDir = "/usr/lib/tcid"
	initPath   = supportDir + "/tcid-init"
	forkPath   = supportDir + "/fork.so"
	// The filter's two parts, see sandbox/seccomp.
	filterPath     = supportDir + "/filter"
	filterRestPath = supportDir + "/filter-rest"
	kernelPath     = supportDir + "/kernel/__main__.py"
	workspaceDir   = "/workspace"
)

// supportLayers is the directory of support layers, below the data directory.
const supportLayers = "support"

// installSupport writes the layer that the daemon lays over every image: the
// init program, the library that forks kernels, the system call filter and the kernel's source. It is named by
// its content, so daemons of different versions can share a data directory.
func installSupport(dataDir string) (layer string, err error) {
	f, err := filter()
	if err != nil {
		return "", err
	}
	programs := []supportFile{
		{initPath, initProgram}, {forkPath, forkLibrary},
		{filterPath, seccomp.Encode(f.Zygote)}, {filterRestPath, seccomp.Encode(f.Rest)},
	}
	hash := sha256.New()
	for _, p := range programs {
		fmt.Fprintf(hash, "%s %d\n", p.path, len(p.content))
		hash.Write(p.content)
	}
	if err := fs.WalkDir(kernel.Source(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(kernel.Source(), path)
		fmt.Fprintf(hash, "%s %d\n", path, len(text))
		hash.Write(text)
		return err
	}); err != nil {
		return "", fmt.Errorf("read the embedded kernel: %w", err)
	}
	layer = filepath.Join(dataDir, supportLayers, hex.EncodeToString(hash.Sum(nil))[:16])
	if _, err := os.Stat(layer); err == nil {
		return layer, nil
	}
	return layer, install(layer, func(dir string) error { return writeSupport(dir, programs) })
}

// supportFile is a file of the support layer.
type supportFile struct {
	path    string
	content []byte
}

func writeSupport(root string, programs []supportFile) error {
	dir := filepath.Join(root, supportDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := kernel.WriteTo(filepath.Join(dir, "kernel")); err != nil {
		return err
	}
	for _, f := range programs {
		if err := os.WriteFile(filepath.Join(root, f.path), f.content, 0o644); err != nil {
			return err
		}
	}
	// The umask may have taken bits away; a mapped root reads these as "other".
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() || path == filepath.Join(root, initPath):
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	})
}
