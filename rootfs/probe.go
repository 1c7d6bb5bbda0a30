package rootfs

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const probeTimeout = 20 * time.Second

//go:embed probe.py
var probe string

// findPython asks the named interpreter, or else the first CPython on PATH that
// is good enough, about itself.
func findPython(ctx context.Context, name string) (interpreter, error) {
	if name != "" {
		path, err := exec.LookPath(name)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return interpreter{}, fmt.Errorf("find Python %s: %w; give the path of an interpreter", name, err)
		}
		return askPython(ctx, path)
	}
	var refused []string
	for _, path := range candidates(os.Getenv("PATH")) {
		py, err := askPython(ctx, path)
		if err == nil {
			return py, nil
		}
		if ctx.Err() != nil {
			return interpreter{}, err
		}
		refused = append(refused, err.Error())
	}
	why := ""
	if len(refused) > 0 {
		why = ": " + strings.Join(refused, "; ")
	}
	return interpreter{}, fmt.Errorf("no CPython of version 3.%d or newer was found on PATH%s; install python3 or name one with --python PATH", oldestPython, why)
}

// candidates lists what may be a Python: in each directory first what a user
// gets who types python3, then the newest of the others. An old distribution's
// python3 may be too old, and python3.11 be there beside it.
func candidates(searchPath string) (paths []string) {
	for _, dir := range filepath.SplitList(searchPath) {
		if !filepath.IsAbs(dir) {
			continue // the working directory may be anybody's
		}
		names := []string{"python3", "python"}
		var minors []int
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			minor, ok := strings.CutPrefix(e.Name(), "python3.")
			if n, err := strconv.Atoi(minor); ok && err == nil && n >= oldestPython {
				minors = append(minors, n)
			}
		}
		slices.Sort(minors)
		for _, n := range slices.Backward(minors) {
			names = append(names, "python3."+strconv.Itoa(n))
		}
		for _, name := range names {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&executeBits != 0 {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// askPython probes the interpreter behind path. A virtual environment leads to
// the interpreter that it was made from.
func askPython(ctx context.Context, path string) (interpreter, error) {
	py, err := runProbe(ctx, path)
	if err != nil {
		return py, err
	}
	if err := py.check(); err != nil {
		return py, fmt.Errorf("%s %w", path, err)
	}
	if !py.Virtual {
		return py, nil
	}
	// Before Python 3.11, an environment made of copies does not know the
	// interpreter that it was made from, but only its prefix.
	for _, base := range []string{py.Base, filepath.Join(py.ExecPrefix, "bin", py.name())} {
		found, err := runProbe(ctx, base)
		if err == nil && !found.Virtual && slices.Equal(found.Version, py.Version) && found.check() == nil {
			return found, nil
		}
		if ctx.Err() != nil {
			return py, err
		}
	}
	return py, fmt.Errorf("%s is a virtual environment, and the interpreter that it was made from is not in %s any more; name that with --python", path, py.ExecPrefix)
}

func runProbe(ctx context.Context, path string) (interpreter, error) {
	var py interpreter
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var out, errs bytes.Buffer
	// Isolated, so that nothing of the caller's environment or directory is
	// imported. The directory stays, as pyenv's shims choose by it.
	cmd := exec.CommandContext(ctx, path, append([]string{"-I", "-c", probe}, checkedModules...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := run(cmd); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return py, fmt.Errorf("%s can't be asked about itself; CPython 3.%d or newer is needed: %w%s", path, oldestPython, err, inBrackets(lastLine(errs.String())))
	}
	// What comes before is a chatty sitecustomize.
	err := json.Unmarshal([]byte(lastLine(out.String())), &py)
	if err != nil || len(py.Version) != 3 || len(py.Stdlib) == 0 || !filepath.IsAbs(py.Executable) {
		return py, fmt.Errorf("%s does not answer as a Python does", path)
	}
	return py, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
