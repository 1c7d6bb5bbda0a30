// Package repo finds the files of the repository that tests need.
package repo

import (
	"os"
	"path/filepath"
	"runtime"
)

// rootEnv names the directory where the tests run away from their source, such
// as in a virtual machine.
const rootEnv = "TCID_TEST_ROOT"

// Path is the path of a file, given by its path in the repository.
func Path(parts ...string) string {
	root := os.Getenv(rootEnv)
	if root == "" {
		_, file, _, _ := runtime.Caller(0)
		root = filepath.Join(filepath.Dir(file), "..", "..")
	}
	return filepath.Join(append([]string{root}, parts...)...)
}
