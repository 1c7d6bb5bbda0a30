package rootfs

import (
	"path/filepath"
	"strings"
)

// packageLibraries are the files of packages, as the closure sees them. They
// were made by others: what their headers name is looked for among the packages
// and in the system's directories, but nowhere else on the host, of which they
// could carry off files into an image.
type packageLibraries struct {
	dir    string            // that they come from; empty when there are none
	placed map[string]string // path on the host to path in the image
	names  map[string]bool   // the same files' names without a directory
}

func (t *tree) packageLibraries() packageLibraries {
	p := packageLibraries{placed: map[string]string{}, names: map[string]bool{}}
	if t.packages == nil {
		return p
	}
	p.dir = t.packages.dir
	for inside, source := range t.sources {
		if p.holds(source) {
			p.placed[source] = inside
			p.names[filepath.Base(source)] = true
		}
	}
	return p
}

// holds tells whether a path of the host lies among the packages.
func (p packageLibraries) holds(path string) bool {
	return p.dir != "" && (path == p.dir || strings.HasPrefix(path, p.dir+"/"))
}
