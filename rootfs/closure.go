package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// closure copies the libraries that the files of a tree need.
type closure struct {
	*loader
	tree *tree
	// inherited are the directories that a library is searched in because of
	// who needs it: DT_RPATH of the program goes for all of its libraries.
	inherited map[string][]string
	packages  packageLibraries
	notes     []string // what the user should know
}

// close copies every library that a file of the tree needs, until none is
// missing. A library that the host itself lacks is no error: the module that
// needs it does not work there either. The notes say which.
func (l *loader) close(ctx context.Context, t *tree) (notes []string, err error) {
	c := &closure{loader: l, tree: t, inherited: map[string][]string{}, packages: t.packageLibraries()}
	done := map[string]bool{}
	for {
		// Sorted, since the same host must give the same image.
		files := slices.DeleteFunc(slices.Sorted(maps.Keys(t.sources)), func(f string) bool { return done[f] })
		if len(files) == 0 {
			slices.Sort(c.notes)
			return slices.Compact(c.notes), nil
		}
		for _, inside := range files {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			done[inside] = true
			if err := c.add(inside); err != nil {
				return nil, err
			}
		}
	}
}

// add copies what one file names.
func (c *closure) add(inside string) error {
	source := c.tree.sources[inside]
	o, err := c.object(source)
	if err != nil || o == nil {
		return err
	}
	trusted := !c.packages.holds(source)
	if o.interp != "" && trusted {
		if err := c.tree.file(o.interp, o.interp); err != nil {
			return err
		}
	}
	// $ORIGIN is where the file really is: its libraries lie beside that.
	if real, err := filepath.EvalSymlinks(source); err == nil {
		source = real
	}
	forAll := append(expand(o.rpath, source), c.inherited[inside]...)
	dirs := append(slices.Clone(forAll), expand(o.runpath, source)...)
	if !trusted {
		dirs = slices.DeleteFunc(dirs, func(dir string) bool { return !c.packages.holds(dir) })
	}
	for _, soname := range o.needed {
		path := ""
		if trusted || !strings.Contains(soname, "/") {
			path = c.find(soname, dirs)
		}
		if inside, ok := c.packages.placed[path]; ok {
			c.inherit(inside, dirs)
			continue // it is there already, beside its user as on the host
		}
		if path == "" && !trusted && c.packages.names[soname] {
			continue // the package loads it by a path before its user asks for the name
		}
		if path == "" {
			c.notes = append(c.notes, fmt.Sprintf("the host lacks %s, which %s needs", soname, inside))
			continue
		}
		target, err := c.tree.library(path, soname)
		if err != nil {
			return err
		}
		if from := c.tree.sources[target]; !sameFile(from, path) {
			c.notes = append(c.notes, fmt.Sprintf("two libraries are called %s: %s is used, %s is not", soname, from, path))
		}
		c.inherit(target, dirs)
	}
	return nil
}

// inherit has a library's own libraries searched where it was found itself. A
// RUNPATH is not inherited. But a library that one of ours names is loaded
// already when another library asks for the same name.
func (c *closure) inherit(target string, dirs []string) {
	if _, known := c.inherited[target]; !known && len(dirs) > 0 {
		c.inherited[target] = dirs
	}
}

func sameFile(a, b string) bool {
	if a == b {
		return true
	}
	one, err := os.Stat(a)
	two, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(one, two)
}

// library copies a library to where the image's loader finds it.
func (t *tree) library(path, soname string) (target string, err error) {
	target = libraryTarget(path, soname)
	t.libraryDirs[filepath.Dir(target)] = true
	return target, t.file(path, target)
}

// libraryTarget keeps libraries of the system at their place. Others go to
// /usr/lib, where the image's ld.so.cache finds them, whatever absolute path
// their users were linked with.
func libraryTarget(path, soname string) string {
	if strings.Contains(soname, "/") {
		return usrPath(path)
	}
	dir := usrPath(filepath.Dir(path))
	for _, system := range []string{"/usr/lib", "/usr/lib64"} {
		if dir == system || strings.HasPrefix(dir, system+"/") {
			return filepath.Join(dir, soname)
		}
	}
	return filepath.Join("/usr/lib", soname)
}

// writeCache makes the image's ld.so.cache.
func (t *tree) writeCache(ctx context.Context) error {
	list := slices.Sorted(maps.Keys(t.libraryDirs))
	if err := t.write("/etc/ld.so.conf", strings.Join(list, "\n")+"\n", fileMode); err != nil {
		return err
	}
	// -X: make no links; all names are there.
	out, err := output(exec.CommandContext(ctx, ldconfig(), "-X", "-r", t.path))
	if err != nil {
		return fmt.Errorf("make the image's ld.so.cache: %w: %s", err, out)
	}
	// ldconfig's own cache has inode numbers in it, which differ every time.
	if err := t.remove("/var/cache"); err != nil {
		return err
	}
	if err := t.root.Chmod("etc/ld.so.cache", fileMode); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make the image's ld.so.cache: %w", err)
	}
	return nil
}
