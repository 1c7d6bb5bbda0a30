// Command tcid is the daemon and its command line.
package main

import (
	// First: libcontainer starts containers by running this program again, and
	// everything that is initialised before this costs time in each start.
	_ "tcid/sandbox/container/initproc"

	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
