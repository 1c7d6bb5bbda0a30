package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDirectories(t *testing.T) {
	mustBeRoot(t)
	chmod := func(path string, mode os.FileMode) func(string) error {
		return func(root string) error {
			dir := filepath.Join(root, path)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			return os.Chmod(dir, mode)
		}
	}
	chown := func(path string) func(string) error {
		return func(root string) error {
			dir := filepath.Join(root, path)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			return os.Chown(dir, 1000, 1000)
		}
	}
	for name, c := range map[string]struct {
		id     string
		change func(root string) error
		status Status
		detail string
	}{
		"not made yet":         {"state-directory", func(string) error { return nil }, OK, "does not exist yet"},
		"as it should be":      {"state-directory", chmod("/run/tcid", 0o711), OK, "0711"},
		"out of reach":         {"state-directory", chmod("/run/tcid", 0o700), Missing, "/run/tcid has mode 0700"},
		"parent out of reach":  {"state-directory", chmod("/run", 0o750), Missing, "/run has mode 0750"},
		"for everybody":        {"state-directory", chmod("/run/tcid", 0o777), Missing, "0777"},
		"somebody's":           {"state-directory", chown("/run/tcid"), Missing, "user id 1000"},
		"in somebody's":        {"state-directory", oneThen(chmod("/run/tcid", 0o711), chown("/run")), Weak, "user id 1000"},
		"in everybody's":       {"state-directory", oneThen(chmod("/run/tcid", 0o711), chmod("/run", 0o777)), Weak, "0777"},
		"sticky":               {"state-directory", oneThen(chmod("/run/tcid", 0o711), chmod("/run", 0o777|os.ModeSticky)), OK, "0711"},
		"a link":               {"state-directory", func(root string) error { return os.Symlink("/", filepath.Join(root, "/run/tcid")) }, Missing, "symbolic link"},
		"a file":               {"state-directory", file("/run/tcid"), Missing, "not a directory"},
		"data":                 {"data-directory", chmod("/var/lib/tcid", 0o711), OK, "0711"},
		"data for everybody":   {"data-directory", chmod("/var/lib/tcid", 0o1777), Missing, "can change"},
		"data for a group":     {"data-directory", chmod("/var/lib/tcid", 0o775), Missing, "can change"},
		"data of somebody":     {"data-directory", chown("/var/lib/tcid"), Missing, "user id 1000"},
		"data not made yet":    {"data-directory", func(root string) error { return os.RemoveAll(filepath.Join(root, "/var/lib")) }, OK, "does not exist yet"},
		"secrets":              {"secrets", chmod("/var/lib/tcid/secrets", 0o700), OK, "0700"},
		"open secrets":         {"secrets", chmod("/var/lib/tcid/secrets", 0o750), Weak, "0750"},
		"secrets of somebody":  {"secrets", chown("/var/lib/tcid/secrets"), Weak, "user id 1000"},
		"secrets not made yet": {"secrets", func(root string) error { return os.RemoveAll(filepath.Join(root, "/var/lib")) }, OK, "does not exist yet"},
	} {
		t.Run(name, func(t *testing.T) {
			root := goodHost().plant(t)
			if err := c.change(root); err != nil {
				t.Fatal(err)
			}
			f := checkTree(root, nil).find(t, c.id)
			if f.Status != c.status || !strings.Contains(f.Detail, c.detail) {
				t.Errorf("want %s with %q, got %+v", c.status, c.detail, f)
			}
		})
	}
}

func oneThen(one, two func(string) error) func(string) error {
	return func(root string) error {
		if err := one(root); err != nil {
			return err
		}
		return two(root)
	}
}

func file(path string) func(string) error {
	return func(root string) error { return os.WriteFile(filepath.Join(root, path), nil, 0o755) }
}
