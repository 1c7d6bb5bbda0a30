// Command starter is what libcontainer executes for every process that it starts
// in a container: a program that imports nothing but the hook, so that what the
// daemon imports is not initialised each time. It is embedded in tcid
// (../starter.go), and of no use by itself.
package main

import (
	"os"

	_ "tcid/sandbox/container/initproc"
)

func main() {
	_, _ = os.Stderr.WriteString("starter: this is a part of tcid, which starts containers with it\n")
	os.Exit(2)
}
