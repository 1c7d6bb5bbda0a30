// Package initproc is the re-exec hook: libcontainer starts every container
// by running /proc/self/exe with the one argument "init". Importing this
// package makes the importing binary able to be that child: main, and every test binary that starts
// containers. Whatever package Go initialises before it is paid for in each start.
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
