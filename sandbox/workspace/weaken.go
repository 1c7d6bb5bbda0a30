//go:build weaken

package workspace

import (
	"context"

	"golang.org/x/sys/unix"

	"tcid/internal/weaken"
)

func without(what string) bool { return weaken.Without(what) }

// safely follows links out of the workspace without "links".
func safely(how unix.OpenHow) unix.OpenHow {
	if without("links") {
		how.Resolve = 0
		how.Flags &^= unix.O_NOFOLLOW
	}
	return how
}

func elsewhere(dev, own uint64) bool { return dev != own && !without("links") }

// finalSpace adds up the files that have a name without "space".
func finalSpace(d *Dir, s Space) Space {
	if !without("space") {
		return s
	}
	const most = 10_000
	infos, _, err := d.List(context.Background(), "", true, most)
	if err != nil {
		return s
	}
	s.UsedBytes = 0
	for _, info := range infos {
		s.UsedBytes += info.Size
	}
	return s
}
