package rootfs

import (
	"regexp"
	"sync"
)

// pattern compiles a regular expression when it is first used: this package is
// part of the program that every start of a container executes again, and pays
// for what is initialised.
func pattern(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
