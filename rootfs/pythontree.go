package rootfs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// leftOut are parts of the standard library that a session has no use for:
// tests, what needs a display, what builds C, and other people's packages.
var leftOut = map[string]bool{
	"test": true, "tests": true, "idlelib": true, "tkinter": true, "turtledemo": true, "turtle.py": true,
	"site-packages": true, "dist-packages": true, "EXTERNALLY-MANAGED": true, "sitecustomize.py": true,
	"usercustomize.py": true,
}

// addPython copies the interpreter, its standard library and its pip.
func (t *tree) addPython(ctx context.Context, py interpreter) error {
	name := py.name()
	if err := t.file(py.Executable, "/usr/bin/"+name); err != nil {
		return err
	}
	for _, alias := range []string{"python3", "python"} {
		// The name may be taken by a program of the host.
		if err := os.RemoveAll(t.path("/usr/bin/" + alias)); err != nil {
			return fmt.Errorf("make room for %s: %w", alias, err)
		}
		if err := t.link(name, "/usr/bin/"+alias); err != nil {
			return err
		}
	}
	for _, dir := range py.Stdlib {
		target, err := py.target(dir)
		if err != nil {
			return err
		}
		if err := t.copyDir(ctx, dir, target, skipStdlib); err != nil {
			return err
		}
		if err := t.compile(ctx, py, target); err != nil {
			return err
		}
	}
	if err := t.addSitePackages(py); err != nil {
		return err
	}
	return t.addPip(ctx, py)
}

// skipStdlib tells what of the standard library stays out. Compiled modules of
// other versions or optimisation levels are no use either.
func skipStdlib(rel string, dir bool) bool {
	base := filepath.Base(rel)
	switch {
	case leftOut[base]:
		return true
	case dir && strings.HasPrefix(base, "config-"): // static libraries
		return true
	case strings.HasPrefix(rel, "lib-dynload/_tkinter"), strings.HasPrefix(rel, "lib-dynload/_test"),
		strings.HasPrefix(rel, "lib-dynload/_ctypes_test"), strings.HasPrefix(rel, "lib-dynload/xx"):
		return true
	}
	return strings.HasSuffix(base, ".opt-1.pyc") || strings.HasSuffix(base, ".opt-2.pyc") ||
		strings.HasSuffix(base, ".a") || strings.HasSuffix(base, ".exe")
}

// compile makes compiled modules where the host's installation has none: the
// image can't be written later, and every start would compile them again.
func (t *tree) compile(ctx context.Context, py interpreter, stdlib string) error {
	if t.has(filepath.Join(stdlib, "__pycache__")) || !t.has(filepath.Join(stdlib, "os.py")) {
		return nil
	}
	// Unchecked hashes: valid whatever the source's time is.
	cmd := exec.CommandContext(ctx, py.Executable, "-I", "-S", "-m", "compileall", "-q",
		"--invalidation-mode", "unchecked-hash", "-s", t.root, "-p", "/", t.path(stdlib))
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C.UTF-8", "PYTHONHASHSEED=0"}
	if out, err := cmd.CombinedOutput(); err != nil && ctx.Err() != nil {
		return fmt.Errorf("compile the standard library: %w: %s", context.Cause(ctx), out)
	}
	return nil // some files are templates that don't compile; the rest is there
}

// addSitePackages makes the directory that the interpreter looks for packages
// in.
func (t *tree) addSitePackages(py interpreter) error {
	target, err := py.target(py.Stdlib[0])
	if err != nil {
		return err
	}
	return t.dir(filepath.Join(target, "site-packages"))
}

// addPip copies pip, and nothing else of the host's packages.
func (t *tree) addPip(ctx context.Context, py interpreter) error {
	if py.PipDir == "" || py.PipInfo == "" {
		return nil
	}
	for _, dir := range []string{py.PipDir, py.PipInfo} {
		target, err := py.target(dir)
		if err != nil {
			return nil //nolint:nilerr // a pip from outside the prefix is not this Python's
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil //nolint:nilerr // such as a zipped egg: not worth carrying over
		}
		if err := t.copyDir(ctx, dir, target, nil); err != nil {
			return err
		}
	}
	script := "#!/usr/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"
	for _, name := range []string{"pip", "pip3"} {
		if err := t.write("/usr/bin/"+name, script, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// packages lists what the image has beside the standard library.
func (t *tree) packages(py interpreter) []string {
	if !t.has("/usr/bin/pip") {
		return []string{}
	}
	return []string{"pip==" + py.PipVersion}
}
