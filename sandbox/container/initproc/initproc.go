// Package initproc is the re-exec hook: libcontainer starts every process of a
// container by running a program with the one argument "init". Importing this
// package makes the importing binary able to be that program: the starter, which
// imports nothing else, since whatever package Go initialises before the hook is
// paid for in each start; main, in case the starter can't be used; and every test
// binary that starts containers.
package initproc

import (
	"os"

	"github.com/opencontainers/runc/libcontainer"
	_ "github.com/opencontainers/runc/libcontainer/nsenter" // the C part that runs before Go
)

func init() {
	// libcontainer fixes the argument's name, so the command line can never
	// have a subcommand "init".
	if len(os.Args) > 1 && os.Args[1] == "init" {
		libcontainer.Init() // never returns
	}
}
