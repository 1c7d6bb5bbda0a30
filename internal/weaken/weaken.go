//go:build weaken

// Package weaken says which safeguards the tests' weakened program leaves out.
// The product doesn't have it: it is built with the tag weaken only.
package weaken

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// env names the safeguards that are left out, separated by spaces.
const env = "TCID_WEAKEN"

// known are all names, by the package that has the safeguard.
var known = slices.Concat(
	// sandbox/container
	strings.Fields(`filter caps root masks hidepid network ipc memory pids cpu disk rlimits privs oom nested pidns uts cgroupns uids
		overlay readonly devices nosuid sysfs tmpfs environment descriptors terminals usage leftovers`),
	// sandbox/workspace
	strings.Fields("links space"),
	// sandbox/kernel
	strings.Fields("framing order shapes scan sentinel close plain"),
	// daemon/session
	strings.Fields("exit timeout ladder failclosed wall output items owner"),
	// api
	strings.Fields("integrity host origin guesses alike headers unread body mediatype strict stall connections smuggling"),
)

var chosen = strings.Fields(os.Getenv(env))

func init() {
	for _, name := range chosen {
		if !slices.Contains(known, name) { // else a program's control would control nothing
			panic(fmt.Sprintf("%s: %q is none of %q", env, name, known))
		}
	}
}

// Without tells whether a safeguard is left out.
func Without(name string) bool { return slices.Contains(chosen, name) }
