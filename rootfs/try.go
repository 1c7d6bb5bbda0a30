package rootfs

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// tryTimeout is for the first start of an interpreter, with everything cold.
const tryTimeout = 60 * time.Second

// nobody is the user that new images are tried as.
const nobody = 65534

//go:embed try.py
var tryModules string

// try starts the image's Python in the image, without rights, and imports what
// works on the host: a Python whose files are not where they are expected, or
// whose libraries can't be found, must not become an image. Packages are not
// imported: this is the host, where only Python's own code is trusted.
func (t *tree) try(ctx context.Context, py interpreter) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	var out, errs bytes.Buffer
	packages := ""
	if t.packages != nil {
		packages = t.packages.inside
	}
	cmd := exec.CommandContext(ctx, pythonPath, append([]string{"-I", "-S", "-B", "-c", tryModules, packages}, py.Modules...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin", "LC_ALL=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: t.path, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Setpgid: true,
	}
	err := run(cmd)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("start %s, copied from %s, in the image: %w%s; images can't be made from this Python, name another one with --python",
			pythonPath, py.Executable, err, inBrackets(lastLine(errs.String())))
	}
	if faults := strings.TrimSpace(out.String()); faults != "" {
		return fmt.Errorf("try %s in the image: %s", py.Executable, strings.ReplaceAll(faults, "\n", "; "))
	}
	return nil
}
