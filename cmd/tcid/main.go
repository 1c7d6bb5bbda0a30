// Command tcid is the daemon and its command line.
package main

import (
	// libcontainer starts containers by running this program again; this is its
	// way in. Go initialises packages in the order of their dependencies and
	// paths, so most of what this program imports is initialised in every
	// container start: keep that light (GODEBUG=inittrace=1 tcid init).
	_ "tcid/sandbox/container/initproc"

	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
