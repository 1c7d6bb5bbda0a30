//go:build weaken

package workspace

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func without(what string) bool {
	return slices.Contains(strings.Fields(os.Getenv("TCID_WEAKEN")), what)
}

// safely follows links out of the workspace without "links".
func safely(how unix.OpenHow) unix.OpenHow {
	if without("links") {
		how.Resolve = 0
		how.Flags &^= unix.O_NOFOLLOW
	}
	return how
}

func elsewhere(dev, own uint64) bool { return dev != own && !without("links") }
