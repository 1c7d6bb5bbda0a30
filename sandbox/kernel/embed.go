package kernel

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed py/*.py
var files embed.FS

// Source is the kernel's Python package. Its root holds __main__.py.
func Source() fs.FS {
	sub, err := fs.Sub(files, "py")
	if err != nil {
		panic("kernel: the embedded package has no folder py: " + err.Error()) // a build error
	}
	return finalSource(sub)
}

// WriteTo writes the kernel's Python package into dir, which it makes when
// needed: files with mode 0644, folders 0755, whatever the umask.
func WriteTo(dir string) error {
	source := Source()
	return fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read the embedded kernel: %w", err)
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		mode := fs.FileMode(0o644)
		if d.IsDir() {
			mode = 0o755
			err = os.MkdirAll(target, mode)
		} else {
			var text []byte
			if text, err = fs.ReadFile(source, name); err == nil {
				err = os.WriteFile(target, text, mode)
			}
		}
		if err == nil {
			err = os.Chmod(target, mode)
		}
		if err != nil {
			return fmt.Errorf("write the kernel's source: %w", err)
		}
		return nil
	})
}
