package rootfs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	probeTimeout = 20 * time.Second
	oldestPython = 9 // of 3.x
)

// interpreter is what a CPython of the host says about itself.
type interpreter struct {
	Executable     string   `json:"executable"` // no symlink, no shim, no virtual environment
	Base           string   `json:"base"`       // the executable of the base interpreter
	Virtual        bool     `json:"virtual"`    // the answers are those of a virtual environment
	Implementation string   `json:"implementation"`
	Version        []int    `json:"version"` // major, minor, micro
	Bits           int      `json:"bits"`
	Prefix         string   `json:"prefix"`
	ExecPrefix     string   `json:"exec_prefix"`
	Stdlib         []string `json:"stdlib"`   // stdlib and, where it differs, platstdlib
	PipDir         string   `json:"pip_dir"`  // the directory of the package, or empty
	PipInfo        string   `json:"pip_info"` // its .dist-info directory, or empty
	PipVersion     string   `json:"pip_version"`
	CertPaths      []string `json:"cert_paths"` // where its OpenSSL looks for authorities
}

// probe runs in isolated mode, so that nothing of the caller's environment or
// directory is imported.
const probe = `
import json, os, struct, sys, sysconfig
real = os.path.realpath
out = {
    "executable": real(sys.executable),
    "base": real(getattr(sys, "_base_executable", None) or sys.executable),
    "virtual": sys.prefix != sys.base_prefix,
    "implementation": sys.implementation.name,
    "version": list(sys.version_info[:3]),
    "bits": struct.calcsize("P") * 8,
    "prefix": real(sys.base_prefix), "exec_prefix": real(sys.base_exec_prefix),
    "stdlib": sorted({real(sysconfig.get_path(n)) for n in ("stdlib", "platstdlib")}),
    "pip_dir": "", "pip_info": "", "pip_version": "", "cert_paths": [],
}
try:
    import importlib.metadata, importlib.util
    spec = importlib.util.find_spec("pip")
    if spec and spec.submodule_search_locations:
        dist = importlib.metadata.distribution("pip")
        out["pip_dir"] = real(list(spec.submodule_search_locations)[0])
        out["pip_info"] = real(str(dist._path))
        out["pip_version"] = dist.version
except Exception:
    pass
try:
    import ssl
    paths = ssl.get_default_verify_paths()
    out["cert_paths"] = [paths.openssl_cafile, paths.openssl_capath]
except Exception:
    pass
print(json.dumps(out))
`

// findPython asks the named interpreter, or else the first real CPython on
// PATH, about itself.
func findPython(ctx context.Context, name string) (interpreter, error) {
	if name != "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return interpreter{}, fmt.Errorf("find Python %s: %w", name, err)
		}
		return askPython(ctx, path)
	}
	var refused []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, base := range []string{"python3", "python"} {
			path := filepath.Join(dir, base)
			if info, err := os.Stat(path); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
				continue
			}
			py, err := askPython(ctx, path)
			if err == nil {
				return py, nil
			}
			if ctx.Err() != nil {
				return interpreter{}, err
			}
			refused = append(refused, err.Error())
		}
	}
	why := ""
	if len(refused) > 0 {
		why = ": " + strings.Join(refused, "; ")
	}
	return interpreter{}, fmt.Errorf("no CPython of version 3.%d or newer was found on PATH%s; install python3 or name one with --python PATH", oldestPython, why)
}

// askPython probes the interpreter behind path. A virtual environment leads to
// the interpreter that it was made from.
func askPython(ctx context.Context, path string) (interpreter, error) {
	py, err := runProbe(ctx, path)
	if err != nil {
		return py, err
	}
	if py.Virtual || py.Base != py.Executable {
		if py, err = runProbe(ctx, py.Base); err != nil {
			return py, err
		}
	}
	switch {
	case py.Implementation != "cpython":
		return py, fmt.Errorf("%s is %s, not CPython", path, py.Implementation)
	case py.Version[0] != 3 || py.Version[1] < oldestPython:
		return py, fmt.Errorf("%s is Python %s; 3.%d or newer is needed", path, py.version(), oldestPython)
	case py.Bits != 64:
		return py, fmt.Errorf("%s is a %d-bit Python; a 64-bit one is needed", path, py.Bits)
	}
	return py, nil
}

func runProbe(ctx context.Context, path string) (interpreter, error) {
	var py interpreter
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-I", "-c", probe)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return py, fmt.Errorf("%s can't be asked about itself: %w%s", path, err, lastLine(errs.String()))
	}
	if err := json.Unmarshal(out.Bytes(), &py); err != nil || len(py.Version) != 3 || len(py.Stdlib) == 0 {
		return py, fmt.Errorf("%s does not answer as a Python does", path)
	}
	return py, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return " (" + last + ")"
	}
	return ""
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
