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

	"tcid/sandbox/kernel"
	"tcid/sandbox/seccomp"
)

//go:embed init/tcid-init
var initProgram []byte

// Paths inside a container. supportDir exists, empty, in every image.
const (
	supportDir   = "/usr/lib/tcid"
	initPath     = supportDir + "/tcid-init"
	filterPath   = supportDir + "/filter"
	kernelPath   = supportDir + "/kernel/__main__.py"
	workspaceDir = "/workspace"
)

// supportLayers is the directory of support layers, below the data directory.
const supportLayers = "support"

// installSupport writes the layer that the daemon lays over every image: the
// init program, the system call filter and the kernel's source. It is named by
// its content, so daemons of different versions can share a data directory.
func installSupport(dataDir string) (layer string, err error) {
	program, err := filter()
	if err != nil {
		return "", err
	}
	code := seccomp.Encode(program)
	hash := sha256.New()
	hash.Write(initProgram)
	hash.Write(code)
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
	parent := filepath.Join(dataDir, supportLayers)
	layer = filepath.Join(parent, hex.EncodeToString(hash.Sum(nil))[:16])
	if _, err := os.Stat(layer); err == nil {
		return layer, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make the directory of support layers: %w", err)
	}
	temp, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return "", fmt.Errorf("make a support layer: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := writeSupport(temp, code); err != nil {
		return "", fmt.Errorf("write a support layer: %w", err)
	}
	// Another daemon may have been faster; its layer has the same content.
	if err := os.Rename(temp, layer); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("publish a support layer: %w", err)
	}
	return layer, nil
}

func writeSupport(root string, code []byte) error {
	dir := filepath.Join(root, supportDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := kernel.WriteTo(filepath.Join(dir, "kernel")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, initPath), initProgram, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, filterPath), code, 0o644); err != nil {
		return err
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
