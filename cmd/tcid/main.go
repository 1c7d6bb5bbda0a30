// Command tcid is the daemon and its command line.
package main

import (
	// libcontainer's way in, for where containers are started with this program
	// instead of the starter (docs/architecture.md).
	_ "tcid/sandbox/container/initproc"

	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
