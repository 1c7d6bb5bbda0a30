package rootfs

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// libraryDirs are searched last, as the dynamic loader does.
var libraryDirs = []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib"}

// loader finds the host's shared libraries as its dynamic loader would.
type loader struct {
	cache   map[string]string // soname to path, from ld.so.cache
	machine elf.Machine
	arch    string // as ldconfig spells it
}

func newLoader(ctx context.Context) (*loader, error) {
	l := &loader{cache: map[string]string{}}
	switch runtime.GOARCH {
	case "amd64":
		l.machine, l.arch = elf.EM_X86_64, "x86-64"
	case "arm64":
		l.machine, l.arch = elf.EM_AARCH64, "AArch64"
	default:
		return nil, fmt.Errorf("images can't be made on %s", runtime.GOARCH)
	}
	out, err := exec.CommandContext(ctx, ldconfig(), "-p").Output()
	if err != nil {
		return nil, fmt.Errorf("list the host's shared libraries (ldconfig -p): %w", err)
	}
	for line := range strings.Lines(string(out)) {
		// "	libc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6"
		left, path, ok := strings.Cut(strings.TrimSpace(line), " => ")
		soname, kind, _ := strings.Cut(left, " (")
		if !ok || !strings.Contains(kind, l.arch) {
			continue
		}
		if _, known := l.cache[soname]; !known {
			l.cache[soname] = path
		}
	}
	return l, nil
}

// ldconfig is often outside of a user's PATH.
func ldconfig() string {
	for _, path := range []string{"/sbin/ldconfig", "/usr/sbin/ldconfig"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return "ldconfig"
}

// library is what the dynamic section of a file says.
type library struct {
	needed []string
	paths  []string // RUNPATH or RPATH, with $ORIGIN
	interp string
}

// readELF returns nil without an error for files that are no ELF of the
// machine.
func (l *loader) readELF(path string) (*library, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a program: %w", err)
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != elf.ELFMAG {
		return nil, nil //nolint:nilerr,nilnil // too short, or something else
	}
	e, err := elf.NewFile(f)
	if err != nil || e.Machine != l.machine {
		return nil, nil //nolint:nilerr,nilnil // not for this machine, or broken: nothing loads it
	}
	lib := &library{}
	if lib.needed, err = e.ImportedLibraries(); err != nil {
		return nil, nil //nolint:nilerr,nilnil // an object file
	}
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		values, err := e.DynString(tag)
		if err != nil {
			continue
		}
		for _, v := range values {
			lib.paths = append(lib.paths, filepath.SplitList(v)...)
		}
	}
	for _, p := range e.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		text, err := io.ReadAll(p.Open())
		if err == nil {
			lib.interp = string(bytes.TrimRight(text, "\x00"))
		}
	}
	return lib, nil
}

// find resolves a library that the file at origin needs; empty when the host
// has none.
func (l *loader) find(soname, origin string, lib *library) string {
	var dirs []string
	for _, p := range lib.paths {
		p = strings.NewReplacer("$ORIGIN", filepath.Dir(origin), "${ORIGIN}", filepath.Dir(origin)).Replace(p)
		if filepath.IsAbs(p) {
			dirs = append(dirs, p)
		}
	}
	for _, dir := range dirs {
		if path := filepath.Join(dir, soname); l.fits(path) {
			return path
		}
	}
	if path, ok := l.cache[soname]; ok && l.fits(path) {
		return path
	}
	for _, dir := range libraryDirs {
		if path := filepath.Join(dir, soname); l.fits(path) {
			return path
		}
	}
	return ""
}

func (l *loader) fits(path string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	lib, err := l.readELF(path)
	return err == nil && lib != nil
}

// close copies every library that a file of the tree needs, until none is
// missing. A library that the host itself lacks is no error: the module that
// needs it does not work there either. These are returned.
func (l *loader) close(ctx context.Context, t *tree) (missing []string, err error) {
	done := map[string]bool{}
	for {
		var files []string
		for inside := range t.sources {
			if !done[inside] {
				files = append(files, inside)
			}
		}
		if len(files) == 0 {
			slices.Sort(missing)
			return slices.Compact(missing), nil
		}
		slices.Sort(files) // the same host gives the same image
		for _, inside := range files {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			done[inside] = true
			lost, err := l.closeOne(t, inside)
			if err != nil {
				return nil, err
			}
			missing = append(missing, lost...)
		}
	}
}

func (l *loader) closeOne(t *tree, inside string) (missing []string, err error) {
	source := t.sources[inside]
	lib, err := l.readELF(source)
	if err != nil || lib == nil {
		return nil, err
	}
	if lib.interp != "" {
		if err := t.file(lib.interp, usrPath(lib.interp)); err != nil {
			return nil, err
		}
	}
	for _, soname := range lib.needed {
		path := l.find(soname, source, lib)
		if path == "" {
			missing = append(missing, fmt.Sprintf("%s (needed by %s)", soname, inside))
			continue
		}
		if err := t.file(path, libraryTarget(path, soname)); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// libraryTarget keeps libraries of the system at their place. Others go to
// /usr/lib, where the image's ld.so.cache finds them, whatever absolute path
// their users were linked with.
func libraryTarget(path, soname string) string {
	dir := usrPath(filepath.Dir(path))
	if dir == "/usr/lib" || strings.HasPrefix(dir, "/usr/lib/") || dir == "/usr/lib64" {
		return filepath.Join(dir, soname)
	}
	return filepath.Join("/usr/lib", soname)
}

// writeCache makes the image's ld.so.cache.
func (t *tree) writeCache(ctx context.Context) error {
	dirs := map[string]bool{"/usr/lib": true, "/usr/lib64": true}
	for inside := range t.sources {
		if strings.Contains(filepath.Base(inside), ".so") && strings.HasPrefix(inside, "/usr/lib") &&
			strings.Count(inside, "/") <= len([]string{"usr", "lib", "multiarch", "file"}) {
			dirs[filepath.Dir(inside)] = true
		}
	}
	var list []string
	for dir := range dirs {
		if t.has(dir) {
			list = append(list, dir)
		}
	}
	slices.Sort(list)
	if err := t.write("/etc/ld.so.conf", strings.Join(list, "\n")+"\n", 0o644); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, ldconfig(), "-X", "-r", t.root).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make the image's ld.so.cache: %w: %s", err, bytes.TrimSpace(out))
	}
	// ldconfig's own cache has inode numbers in it, which differ every time.
	err = os.RemoveAll(t.path("/var/cache"))
	if err := errors.Join(err, os.Chmod(t.path("/etc/ld.so.cache"), 0o644)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make the image's ld.so.cache: %w", err)
	}
	return nil
}
