package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// installTimeout is for downloads over a slow line.
const installTimeout = 30 * time.Minute

// wheelsDir is what a build has of packages until they are in its tree.
const wheelsDir = "wheels"

const secretMode fs.FileMode = 0o600

// Packages get into an image from wheels, which are archives of files. Nothing
// of theirs is executed on the host: they are not built (readRequirements and
// wheels.py see to that), not imported, and a new image is tried without the
// site module, which would run their .pth files.

// stageWheels has an installer put what is wanted, and what that depends on,
// into a directory of its own below work. It returns nothing when nothing is
// wanted.
func stageWheels(ctx context.Context, py interpreter, want requirements, work string, o BuildOptions) (dir string, err error) {
	if len(want.packages) == 0 {
		return "", nil
	}
	if _, err := py.target(py.Packages); err != nil {
		return "", fmt.Errorf("packages can't be installed: %w", err)
	}
	found, err := installers(py)
	if err != nil {
		return "", err
	}
	// The real path, as libraries are found by it later.
	base, err := filepath.EvalSymlinks(work)
	if err != nil {
		return "", fmt.Errorf("install packages: %w", err)
	}
	base = filepath.Join(base, wheelsDir)
	for _, in := range found {
		// The next one may have another configuration, and with it a mirror.
		o.Progress("installing packages with " + in.name)
		if dir, err = in.install(ctx, want, base, o); !errors.Is(err, ErrNoIndex) {
			break
		}
	}
	return dir, err
}

// install runs the installer with an empty directory as its working directory,
// where no project's configuration is found.
func (in installer) install(ctx context.Context, want requirements, base string, o BuildOptions) (dir string, err error) {
	if err := os.RemoveAll(base); err != nil {
		return "", fmt.Errorf("install packages: %w", err)
	}
	dir = filepath.Join(base, "packages")
	temp := filepath.Join(base, "tmp")
	for _, d := range []string{base, dir, temp} {
		if err := os.Mkdir(d, dirMode); err != nil {
			return "", fmt.Errorf("install packages: %w", err)
		}
	}
	args := append(append([]string{}, in.args...), "--target", dir)
	for _, f := range []struct{ name, flag, text string }{
		{"requirements.txt", "--requirement", want.lines()},
		{"constraints.txt", "--constraint", strings.Join(want.constraints, "\n")},
	} {
		if f.text == "" {
			continue
		}
		path := filepath.Join(base, f.name)
		// An index's address may hold a password.
		if err := os.WriteFile(path, []byte(f.text), secretMode); err != nil {
			return "", fmt.Errorf("install packages: %w", err)
		}
		args = append(args, f.flag, path)
	}
	log := filepath.Join(base, "log")
	args = append(args, in.flags(want, log)...)
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	ctx, stop := bounded(ctx, base, o.MaxBytes)
	defer stop()
	said := &transcript{detail: o.Detail}
	cmd := exec.CommandContext(ctx, in.program, args...)
	cmd.Dir = base
	cmd.Env = installerEnv(os.Environ(), temp)
	if in.env != nil {
		cmd.Env = in.env(cmd.Env)
	}
	cmd.Stdout, cmd.Stderr = said, said
	if err := run(cmd); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		if ctx.Err() != nil {
			return "", fmt.Errorf("install packages: %w", context.Cause(ctx))
		}
		return "", said.failure(in.name, log, want, err)
	}
	// It may have been faster than the looks at it.
	if err := checkSize(base, o.MaxBytes); err != nil {
		return "", fmt.Errorf("install packages: %w", err)
	}
	return dir, nil
}
