package rootfs

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// lastDirs are searched last, as the dynamic loader does.
var lastDirs = []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib"}

// loader finds the host's shared libraries as its dynamic loader would, but
// executes nothing of what it looks at.
type loader struct {
	cache   map[string]string // soname to path, from ld.so.cache
	machine elf.Machine
	read    map[string]*object // by path; nil for what is no ELF
}

func newLoader(ctx context.Context) (*loader, error) {
	arch := ""
	l := &loader{read: map[string]*object{}}
	switch runtime.GOARCH {
	case "amd64":
		l.machine, arch = elf.EM_X86_64, "x86-64"
	case "arm64":
		l.machine, arch = elf.EM_AARCH64, "AArch64"
	default:
		return nil, fmt.Errorf("images can't be made on %s; amd64 and arm64 are supported", runtime.GOARCH)
	}
	out, err := exec.CommandContext(ctx, ldconfig(), "-p").Output()
	if err != nil {
		return nil, fmt.Errorf("list the host's shared libraries (ldconfig -p): %w", err)
	}
	l.cache = parseCache(string(out), arch)
	return l, nil
}

// parseCache reads what "ldconfig -p" prints, lines such as
//
//	libc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6
//
// Variants for newer processors (hwcap) are left out: the image must also run
// where the plain ones are needed.
func parseCache(text, arch string) map[string]string {
	cache := map[string]string{}
	for line := range strings.Lines(text) {
		left, path, ok := strings.Cut(strings.TrimSpace(line), " => ")
		soname, kind, _ := strings.Cut(left, " (")
		if !ok || !strings.Contains(kind, arch) || strings.Contains(kind, "hwcap") {
			continue
		}
		if _, known := cache[soname]; !known {
			cache[soname] = path
		}
	}
	return cache
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

// object reads a file's headers, once.
func (l *loader) object(path string) (*object, error) {
	if o, known := l.read[path]; known {
		return o, nil
	}
	o, err := readELF(path, l.machine)
	if err != nil {
		return nil, err
	}
	l.read[path] = o
	return o, nil
}

// find resolves a library. dirs are searched first; the result is empty when
// the host has no such library.
func (l *loader) find(soname string, dirs []string) string {
	if strings.Contains(soname, "/") { // a path, which the loader takes as it is
		if filepath.IsAbs(soname) && l.fits(soname) {
			return soname
		}
		return ""
	}
	for _, dir := range dirs {
		if path := filepath.Join(dir, soname); l.fits(path) {
			return path
		}
	}
	if path, ok := l.cache[soname]; ok && l.fits(path) {
		return path
	}
	for _, dir := range lastDirs {
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
	o, err := l.object(path)
	return err == nil && o != nil
}

// expand replaces $ORIGIN, the directory of the file that a path is written in,
// and $LIB. Paths that are still not absolute depend on the working directory,
// and are left out.
func expand(paths []string, file string) (dirs []string) {
	origin := filepath.Dir(file)
	for _, lib := range []string{"lib", "lib64"} {
		r := strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin, "$LIB", lib, "${LIB}", lib)
		for _, p := range paths {
			if p = r.Replace(p); filepath.IsAbs(p) {
				dirs = append(dirs, filepath.Clean(p))
			}
		}
	}
	return dirs
}
