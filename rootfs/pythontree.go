package rootfs

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
)

// pythonPath is the interpreter in every image.
const pythonPath = "/usr/bin/python3"

// leftOut are parts of the standard library that a session has no use for:
// tests, what needs a display, and other people's packages.
var leftOut = map[string]bool{
	"test": true, "tests": true, "idlelib": true, "tkinter": true, "turtledemo": true, "turtle.py": true,
	"site-packages": true, "dist-packages": true, "EXTERNALLY-MANAGED": true, "sitecustomize.py": true,
	"usercustomize.py": true,
}

// leftOutModules are the same among the extension modules, by the beginning of
// their files' names.
var leftOutModules = []string{"_tkinter", "_test", "_ctypes_test", "xx"}

// addPython copies the interpreter, its standard library and its pip, and
// returns the directories that modules are in.
func (t *tree) addPython(ctx context.Context, py interpreter) (modules []string, err error) {
	name := py.name()
	if err := t.file(py.Executable, "/usr/bin/"+name); err != nil {
		return nil, err
	}
	for _, alias := range []string{"python3", "python"} {
		if err := t.link(name, "/usr/bin/"+alias); err != nil {
			return nil, err
		}
	}
	for _, dir := range py.Stdlib {
		target, err := py.target(dir)
		if err != nil {
			return nil, err
		}
		if err := t.copyDir(ctx, dir, target, skipStdlib); err != nil {
			return nil, err
		}
		// Site looks for packages here, and tools put them here.
		if err := t.dir(filepath.Join(target, "site-packages")); err != nil {
			return nil, err
		}
		modules = append(modules, target)
	}
	pip, err := t.addPip(ctx, py)
	if err != nil {
		return nil, err
	}
	if pip != "" {
		modules = append(modules, pip)
	}
	return modules, t.addWheels(ctx, py)
}

// skipStdlib tells what of the standard library stays out. Compiled modules of
// other optimisation levels and static libraries are no use either.
func skipStdlib(rel string, dir bool) bool {
	base := filepath.Base(rel)
	if leftOut[base] || dir && strings.HasPrefix(base, "config-") {
		return true
	}
	if filepath.Base(filepath.Dir(rel)) == "lib-dynload" {
		for _, module := range leftOutModules {
			if strings.HasPrefix(base, module) {
				return true
			}
		}
	}
	for _, suffix := range []string{".opt-1.pyc", ".opt-2.pyc", ".a", ".exe"} {
		if strings.HasSuffix(base, suffix) {
			return true
		}
	}
	return false
}

// addPip copies pip, and nothing else of the host's packages. It returns its
// directory, or nothing when the host's Python has no pip of its own.
func (t *tree) addPip(ctx context.Context, py interpreter) (dir string, err error) {
	if py.PipDir == "" || !isDir(py.PipInfo) { // none, or a zipped egg, which is not worth carrying over
		return "", nil
	}
	for _, source := range []string{py.PipInfo, py.PipDir} {
		if dir, err = py.target(source); err != nil {
			return "", nil //nolint:nilerr // from outside of the prefix: not this Python's
		}
		if err := t.copyDir(ctx, source, dir, nil); err != nil {
			return "", err
		}
	}
	script := "#!" + pythonPath + "\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"
	for _, name := range []string{"pip", "pip3", strings.Replace(py.name(), "python", "pip", 1)} {
		if err := t.write("/usr/bin/"+name, script, programMode); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// addWheels copies what ensurepip, and with it "python3 -m venv", takes pip
// from, where that is not in the standard library, as on Debian.
func (t *tree) addWheels(ctx context.Context, py interpreter) error {
	stdlib, err := py.target(py.Stdlib[0])
	if err != nil {
		return err
	}
	if !filepath.IsAbs(py.WheelDir) || !isDir(py.WheelDir) || !t.has(filepath.Join(stdlib, "ensurepip")) {
		return nil
	}
	return t.copyDir(ctx, py.WheelDir, filepath.Clean(py.WheelDir), func(rel string, dir bool) bool {
		return dir || !strings.HasPrefix(rel, "pip-") && !strings.HasPrefix(rel, "setuptools-")
	})
}

// installed lists what the image has beside the standard library.
func (t *tree) installed(py interpreter) []string {
	list := []string{}
	if t.has("/usr/bin/pip") {
		list = append(list, "pip=="+py.PipVersion)
	}
	if t.packages != nil {
		list = append(list, t.packages.names...)
	}
	slices.Sort(list)
	return list
}
