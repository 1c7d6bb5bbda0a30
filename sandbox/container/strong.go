//go:build !weaken

package container

import (
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"

	"tcid/sandbox/seccomp"
)

// The tests build a second program with the tag weaken, in which single
// safeguards can be taken away: an attack that fails says little unless it works
// without what stops it. In the product there is nothing to take away.

func filter() ([]seccomp.Instruction, error) { return seccomp.Program() }

func finalConfig(c *configs.Config) *configs.Config { return c }

func finalKernel(p *libcontainer.Process) *libcontainer.Process { return p }
