package rootfs

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// DefaultPreload are the modules that are imported ahead where their packages are
// in an image: slow to import, and used by nearly everybody who has them.
// IPython, where it is there, always is.
var DefaultPreload = []string{"numpy", "pandas", "matplotlib.pyplot"}

const maxPreload = 64

func checkPreload(modules []string) error {
	if len(modules) > maxPreload {
		return fmt.Errorf("%d modules to preload are more than the %d allowed", len(modules), maxPreload)
	}
	for _, m := range modules {
		if !isModule(m) {
			return fmt.Errorf("%q is not the name of a module to preload: give it as an import statement has it", m)
		}
	}
	return nil
}

// isModule tells whether a text is names with dots between them. (A regular
// expression for that would cost each container's start a millisecond.)
func isModule(text string) bool {
	for name := range strings.SplitSeq(text, ".") {
		if name == "" {
			return false
		}
		for i, r := range name {
			if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsNumber(r)) {
				return false
			}
		}
	}
	return true
}

// preloadFile lists the modules, one a line, so that images which differ in that
// alone are two.
const preloadFile = "/etc/tcid-preload"

func (t *tree) addPreload(modules []string) error {
	if len(modules) == 0 {
		return nil
	}
	return t.write(preloadFile, strings.Join(modules, "\n")+"\n", fileMode)
}

// preload chooses the modules to import ahead, of an image with these packages
// ("name==version").
func preload(asked, packages []string) []string {
	if asked != nil {
		return asked
	}
	list := []string{}
	for _, module := range DefaultPreload {
		name, _, _ := strings.Cut(module, ".")
		if slices.ContainsFunc(packages, func(p string) bool { return strings.HasPrefix(p, name+"==") }) {
			list = append(list, module)
		}
	}
	return list
}
