package rootfs

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

const (
	oldestPython = 9 // of 3.x
	wordBits     = 64
)

// interpreter is what a CPython of the host says about itself.
type interpreter struct {
	Executable     string   `json:"executable"` // no symlink, no shim, no virtual environment
	Base           string   `json:"base"`       // the executable of the base interpreter
	Virtual        bool     `json:"virtual"`    // the answers are those of a virtual environment
	Implementation string   `json:"implementation"`
	Version        []int    `json:"version"` // major, minor, micro
	Bits           int      `json:"bits"`
	Prefix         string   `json:"prefix"` // of the base interpreter
	ExecPrefix     string   `json:"exec_prefix"`
	Stdlib         []string `json:"stdlib"`      // stdlib and, where it differs, platstdlib
	Packages       string   `json:"packages"`    // where it looks for packages that are installed
	WheelDir       string   `json:"wheel_dir"`   // where ensurepip has its pip from, when not from itself
	PipDir         string   `json:"pip_dir"`     // the directory of the package, or empty
	PipInfo        string   `json:"pip_info"`    // its .dist-info directory, or empty
	PipVersion     string   `json:"pip_version"` // empty without pip
	CertFile       string   `json:"cert_file"`   // where its OpenSSL looks for authorities
	Modules        []string `json:"modules"`     // those of checkedModules that can be imported
}

// check says why images can't be made from an interpreter.
func (p interpreter) check() error {
	switch {
	case p.Implementation != "cpython":
		return fmt.Errorf("is %s; only CPython will do", p.Implementation)
	case p.Version[0] != 3 || p.Version[1] < oldestPython:
		return fmt.Errorf("is Python %s; 3.%d or newer is needed", p.version(), oldestPython)
	case p.Bits != wordBits:
		return fmt.Errorf("is a %d-bit Python; a %d-bit one is needed", p.Bits, wordBits)
	}
	return nil
}

func (p interpreter) version() string {
	return fmt.Sprintf("%d.%d.%d", p.Version[0], p.Version[1], p.Version[2])
}

// name is the interpreter's name with its minor version, such as python3.11.
func (p interpreter) name() string {
	return fmt.Sprintf("python%d.%d", p.Version[0], p.Version[1])
}

// target is where a file of the interpreter lies in the image: at the same
// place below /usr as it has below the prefix.
func (p interpreter) target(path string) (string, error) {
	for _, prefix := range []string{p.Prefix, p.ExecPrefix} {
		if rel, err := filepath.Rel(prefix, path); err == nil && filepath.IsLocal(rel) {
			return filepath.Join("/usr", rel), nil
		}
	}
	return "", errors.New(path + " is not below Python's prefix " + p.Prefix)
}

// checkedModules are imported in a new image if the host's interpreter can
// import them: they need libraries or files that are not Python's own.
var checkedModules = strings.Fields(`
	ssl hashlib sqlite3 lzma bz2 zlib ctypes readline curses decimal uuid socket select zoneinfo
	multiprocessing asyncio json subprocess pyexpat dbm.gnu dbm.ndbm`)
