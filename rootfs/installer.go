package rootfs

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed wheels.py
var runPip string

// installer is a program that puts wheels into a directory.
type installer struct {
	name    string // for people
	program string
	args    []string
	flags   func(want requirements, log string) []string
	env     func(env []string) []string
}

// installers are the host's that can install for an interpreter, the best first.
// Which wheels fit is up to the interpreter that the image is made from.
func installers(py interpreter) ([]installer, error) {
	var found []installer
	if path, err := exec.LookPath("uv"); err == nil && filepath.IsAbs(path) {
		found = append(found, installer{
			name: "uv", program: path, flags: uvFlags, env: withPipEnv,
			args: []string{"pip", "install", "--python", py.Executable, "--no-python-downloads", "--color", "never",
				"--only-binary", ":all:", "--link-mode", "copy"},
		})
	}
	pipWheel, hasPip := py.pip()
	if hasPip {
		found = append(found, installer{
			name: "pip", program: py.Executable, flags: pipFlags,
			args: []string{"-I", "-u", "-c", runPip, pipWheel, "install", "--only-binary=:all:", "--no-compile", "--no-user",
				"--no-input", "--disable-pip-version-check", "--no-warn-script-location"},
		})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("packages can't be installed: %s has no pip, and there is no uv on PATH; "+
			"install one of them (on Debian: apt-get install python3-pip)", py.Executable)
	}
	return found, nil
}

// pip tells whether the interpreter has a pip. The wheel is empty where it is
// installed, else the one that ensurepip would install.
func (p interpreter) pip() (wheel string, ok bool) {
	if p.PipDir != "" {
		return "", true
	}
	dirs := []string{}
	if filepath.IsAbs(p.WheelDir) {
		dirs = append(dirs, p.WheelDir)
	}
	for _, dir := range p.Stdlib {
		dirs = append(dirs, filepath.Join(dir, "ensurepip", "_bundled"))
	}
	for _, dir := range dirs {
		if wheels, err := filepath.Glob(filepath.Join(dir, "pip-*.whl")); err == nil && len(wheels) > 0 {
			return wheels[len(wheels)-1], true
		}
	}
	return "", false
}

func pipFlags(want requirements, log string) []string {
	flags := []string{"--log", log}
	if want.prereleases {
		flags = append(flags, "--pre")
	}
	if want.hashes {
		flags = append(flags, "--require-hashes")
	}
	return flags
}

func uvFlags(want requirements, _ string) (flags []string) {
	if want.prereleases {
		flags = append(flags, "--prerelease", "allow")
	}
	if want.hashes {
		flags = append(flags, "--require-hashes")
	}
	return flags
}

// foreign are what users have set for other installations, and what would
// change what is asked for. Mirrors, proxies, certificates and the like stay.
var foreign = strings.Fields(`
	VIRTUAL_ENV CONDA_PREFIX
	PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_NO_BINARY PIP_REQUIRE_VIRTUALENV PIP_PYTHON PIP_EDITABLE
	PIP_REQUIREMENT PIP_NO_DEPS PIP_IGNORE_REQUIRES_PYTHON PIP_PLATFORM PIP_PYTHON_VERSION PIP_ABI
	PIP_IMPLEMENTATION PIP_DRY_RUN PIP_REPORT PIP_COMPILE PIP_SRC PIP_LOG PIP_QUIET PIP_VERBOSE PIP_PROGRESS_BAR
	UV_TARGET UV_PREFIX UV_NO_BINARY UV_NO_BINARY_PACKAGE UV_SYSTEM_PYTHON UV_BREAK_SYSTEM_PACKAGES
	UV_COMPILE_BYTECODE UV_PROJECT UV_PROJECT_ENVIRONMENT UV_WORKING_DIR UV_WORKING_DIRECTORY UV_QUIET UV_VERBOSE`)

// installerEnv is the caller's environment without what would lead astray.
func installerEnv(environ []string, temp string) (env []string) {
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(foreign, name) || strings.HasPrefix(name, "PYTHON") || strings.HasPrefix(name, "UV_PYTHON") {
			continue
		}
		env = append(env, entry)
	}
	// Below the data directory, so that what was downloaded goes with the build
	// and a small /tmp is no obstacle. The rest wins over configuration files.
	return append(env, "TMPDIR="+temp, "PIP_REQUIRE_VIRTUALENV=0", "PIP_PROGRESS_BAR=off", "PIP_ROOT_USER_ACTION=ignore")
}

// withPipEnv lets uv go by what is set for pip, which it does not know.
func withPipEnv(env []string) []string {
	for _, pair := range []struct{ pip, uv, separator string }{
		{"PIP_INDEX_URL", "UV_DEFAULT_INDEX UV_INDEX_URL", " "},
		{"PIP_EXTRA_INDEX_URL", "UV_INDEX UV_EXTRA_INDEX_URL", " "},
		{"PIP_FIND_LINKS", "UV_FIND_LINKS", ","},
		{"PIP_TRUSTED_HOST", "UV_INSECURE_HOST", " "},
		{"PIP_CERT", "SSL_CERT_FILE", " "},
	} {
		names := strings.Fields(pair.uv)
		known := slices.ContainsFunc(names, func(name string) bool { return os.Getenv(name) != "" })
		if value := os.Getenv(pair.pip); value != "" && !known {
			env = append(env, names[0]+"="+strings.Join(strings.Fields(value), pair.separator))
		}
	}
	return env
}
