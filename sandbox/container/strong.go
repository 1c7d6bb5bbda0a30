//go:build !weaken

package container

import (
	"context"
	_ "embed"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"tcid/sandbox"
	"tcid/sandbox/seccomp"
)

// The tests build a second program with the tag weaken, in which single
// safeguards can be taken away: an attack that fails says little unless it works
// without what stops it. In the product there is nothing to take away.

//go:embed init/fork.so
var forkLibrary []byte

func filter() (seccomp.Filter, error) { return seccomp.Assemble() }

// faults are the steps that a forked kernel's start leaves out.
func faults() uint32 { return 0 }

func finalConfig(c *configs.Config) *configs.Config { return c }

func finalKernel(p *libcontainer.Process) *libcontainer.Process { return p }

func mountRoot(target, options string) error {
	return unix.Mount("overlay", target, "overlay", rootFlags, options)
}

func take(free []uint32) (base uint32, rest []uint32) { return free[0], free[1:] }

func boundsTCP() bool { return true }

func usageOf(x *box) (sandbox.Usage, error) { return x.leaf.usage() }

func endOthers(ctx context.Context, x *box) error { return x.leaf.killAll(ctx, x.initPid) }
