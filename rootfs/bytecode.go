package rootfs

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
)

//go:embed bytecode.py
var compileModules string

// mostCompilers is how many processes compile at a time.
const mostCompilers = 8

// compile makes compiled modules where the host has none that are valid, such
// as in a container whose Python was installed without: the image can't be
// written later, and every start would compile them again.
func (t *tree) compile(ctx context.Context, py interpreter, modules []string) error {
	processes := min(runtime.GOMAXPROCS(0), mostCompilers)
	if err := t.compileShare(ctx, py, 0, processes, modules); err != nil {
		return err
	}
	errs := make([]error, processes)
	var group sync.WaitGroup
	for i := range processes {
		group.Go(func() { errs[i] = t.compileShare(ctx, py, i+1, processes, modules) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// compileShare runs one process; see bytecode.py.
func (t *tree) compileShare(ctx context.Context, py interpreter, number, processes int, modules []string) error {
	// Not -I, which ignores PYTHONHASHSEED: before Python 3.11, the order of the
	// constant sets in compiled modules follows it. Instead the environment is
	// empty but for that, and -c looks for modules in a directory without any.
	args := append([]string{"-s", "-S", "-c", compileModules, t.path, strconv.Itoa(number), strconv.Itoa(processes)}, modules...)
	cmd := exec.CommandContext(ctx, py.Executable, args...)
	cmd.Dir = t.path
	cmd.Env = []string{"LC_ALL=C.UTF-8", "PYTHONHASHSEED=0"}
	if out, err := output(cmd); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("compile the image's modules: %w: %s", err, out)
	}
	return nil
}
