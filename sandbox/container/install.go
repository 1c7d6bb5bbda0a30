package container

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// install makes a directory that is named by what it holds, whole or not at all.
// So daemons of different versions can share a data directory, and one that finds
// that another was faster has the same.
func install(dir string, write func(dir string) error) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("make the directory for %s: %w", dir, err)
	}
	temp, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	defer os.RemoveAll(temp)
	if err := write(temp); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if err := os.Rename(temp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("publish %s: %w", dir, err)
	}
	return nil
}
