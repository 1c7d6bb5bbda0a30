package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mountPoints are directories in every image that something is mounted on.
// They are real directories: a symbolic link there would lead a mount astray
// (CVE-2026-41579).
var mountPoints = []string{"/dev", "/proc", "/sys", "/tmp", "/workspace", "/run"}

// plainDirs exist, empty, because programs expect them. The daemon lays its
// own files over /usr/lib/tcid.
var plainDirs = []string{"/root", "/home", "/var/tmp", "/usr/local/bin", "/usr/lib/tcid", "/opt", "/mnt", "/srv"}

// mergedDirs are links into /usr, as today's distributions have it.
var mergedDirs = []string{"bin", "sbin", "lib", "lib64"}

// libraries are opened at run time, so that no program names them.
var libraries = []string{
	"libgcc_s.so.1",                                          // pthread_cancel and thread exit
	"libstdc++.so.6",                                         // compiled packages
	"libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", // names, with an older glibc
}

// pluginDirs lie beside libc: character sets, and OpenSSL's providers.
var pluginDirs = []string{"gconv", "ossl-modules", "engines-3", "engines-1.1"}

// dataDirs are what programs read.
var dataDirs = []struct {
	path string
	skip []string
}{
	// "localtime" is the zone of the host.
	{"/usr/share/zoneinfo", []string{"right", "posix", "localtime"}},
	{"/usr/lib/locale/C.utf8", nil}, // where it is not built into the C library
	{"/usr/lib/terminfo", nil},
}

// Sessions of an image take pairs of ids from here up, where they share a user
// namespace. So many have a name; a thousand sessions at once are a lot.
const (
	firstUser  = 1000
	namedUsers = 1024
)

func sessionUsers(format string) string {
	var b strings.Builder
	for id := firstUser; id < firstUser+2*namedUsers; id += 2 {
		fmt.Fprintf(&b, format, id, id+1)
	}
	return b.String()
}

// etc is the few files that a C library asks for.
func etc() map[string]string {
	return map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n" +
			sessionUsers("user:x:%[1]d:%[1]d:user:/workspace:/bin/sh\ninit:x:%[2]d:%[2]d:init:/:/bin/false\n") +
			"nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
		"/etc/group":         "root:x:0:\ntty:x:5:\n" + sessionUsers("user:x:%[1]d:\ninit:x:%[2]d:\n") + "nogroup:x:65534:\n",
		"/etc/hosts":         "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n",
		"/etc/host.conf":     "multi on\n", // else localhost is 127.0.0.1 only
		"/etc/hostname":      "sandbox\n",
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
		"/etc/resolv.conf":   "",
		"/etc/os-release":    "ID=tcid\nNAME=\"tcid sandbox\"\nPRETTY_NAME=\"tcid sandbox\"\n",
		"/etc/timezone":      "Etc/UTC\n",
	}
}

// addSkeleton makes the directories.
func (t *tree) addSkeleton() error {
	for _, dir := range slices.Concat(mountPoints, plainDirs) {
		if err := t.dir(dir); err != nil {
			return err
		}
	}
	for _, top := range mergedDirs {
		if err := t.dir("/usr/" + top); err != nil {
			return err
		}
		// Not with t.link, which takes /lib for /usr/lib.
		if err := t.root.Symlink("usr/"+top, top); err != nil {
			return err
		}
	}
	return nil
}

// addLibraries copies what is loaded by name at run time.
func (t *tree) addLibraries(ctx context.Context, l *loader) error {
	libc := l.find("libc.so.6", nil)
	if libc == "" {
		return errors.New("the host's C library is not glibc; images can only be made on a glibc system")
	}
	for _, soname := range libraries {
		path := l.find(soname, nil)
		if path == "" {
			continue
		}
		if _, err := t.library(path, soname); err != nil {
			return err
		}
	}
	for _, name := range pluginDirs {
		// Where / is not merged into /usr, libc is in /lib and its plug-ins are
		// in /usr/lib.
		for _, dir := range []string{usrPath(filepath.Dir(libc)), filepath.Dir(libc)} {
			source := filepath.Join(dir, name)
			if !isDir(source) {
				continue
			}
			if err := t.copyDir(ctx, source, usrPath(source), nil); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// addData copies time zones and the like, and the trusted authorities.
func (t *tree) addData(ctx context.Context, py interpreter) error {
	for _, d := range dataDirs {
		if !isDir(d.path) {
			continue
		}
		skip := func(rel string, _ bool) bool { return slices.Contains(d.skip, rel) }
		if err := t.copyDir(ctx, d.path, d.path, skip); err != nil {
			return err
		}
	}
	return t.addAuthorities(py)
}

// addEtc writes the system's own files.
func (t *tree) addEtc() error {
	for path, content := range etc() {
		if err := t.write(path, content, fileMode); err != nil {
			return err
		}
	}
	return t.link("/usr/share/zoneinfo/Etc/UTC", "/etc/localtime")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
