package rootfs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// MountPoints are directories in every image that something is mounted on.
// They are real directories: a symbolic link there would lead a mount astray
// (CVE-2026-41579).
var mountPoints = []string{"/dev", "/proc", "/sys", "/tmp", "/workspace", "/run"}

// plainDirs exist, empty, because programs expect them. The daemon lays its
// own files over /usr/lib/tcid.
var plainDirs = []string{"/root", "/home", "/var/tmp", "/usr/local/bin", "/usr/lib/tcid", "/opt", "/mnt", "/srv"}

// programs are copied when the host has them; sh must be there.
var programs = strings.Fields(`
	sh ls cat cp mv rm mkdir rmdir ln chmod touch pwd echo printf env sleep date true false test [ expr
	head tail wc sort uniq cut tr tee paste comm join split seq yes nl fold expand od base64 md5sum sha1sum
	sha256sum basename dirname realpath readlink stat df du mktemp id whoami uname nproc timeout nice nohup
	factor shuf tac rev install sync sha512sum cksum numfmt truncate
	grep egrep fgrep sed awk find xargs tar gzip gunzip bzip2 xz diff cmp file which less more`)

// libraries are opened at run time, so that no program names them.
var libraries = []string{
	"libgcc_s.so.1",                                          // pthread_cancel and thread exit
	"libstdc++.so.6",                                         // compiled packages
	"libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", // names, with an older glibc
}

// pluginDirs lie beside libc: character sets, and OpenSSL's providers.
var pluginDirs = []string{"gconv", "ossl-modules", "engines-3", "engines-1.1"}

const bundle = "/etc/ssl/certs/ca-certificates.crt"

// certBundles is where distributions keep the trusted authorities in one file.
var certBundles = []string{
	bundle, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
}

// addSkeleton makes the directories, with / merged into /usr as today's
// distributions have it.
func (t *tree) addSkeleton() error {
	for _, dir := range append(append([]string{}, mountPoints...), plainDirs...) {
		if err := t.dir(dir); err != nil {
			return err
		}
	}
	for _, top := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := t.dir("/usr/" + top); err != nil {
			return err
		}
		if err := t.link("usr/"+top, "/"+top); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) addPrograms() error {
	for _, name := range programs {
		path, err := exec.LookPath(name)
		if err != nil {
			if name == "sh" {
				return fmt.Errorf("the host has no shell: %w", err)
			}
			continue
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			continue
		}
		if err := t.file(path, "/usr/bin/"+name); err != nil {
			return err
		}
	}
	return nil
}

// addLibraries copies what is loaded by name at run time.
func (t *tree) addLibraries(ctx context.Context, l *loader) error {
	for _, soname := range libraries {
		path := l.find(soname, "", &library{})
		if path == "" {
			continue
		}
		if err := t.file(path, libraryTarget(path, soname)); err != nil {
			return err
		}
	}
	libc := l.find("libc.so.6", "", &library{})
	if libc == "" {
		return fmt.Errorf("the host's C library is not glibc; images can only be made on a glibc system")
	}
	for _, name := range pluginDirs {
		source := filepath.Join(filepath.Dir(libc), name)
		if info, err := os.Stat(source); err != nil || !info.IsDir() {
			continue
		}
		if err := t.copyDir(ctx, source, filepath.Join(usrPath(filepath.Dir(libc)), name), nil); err != nil {
			return err
		}
	}
	return nil
}

// addData copies what programs read: time zones, the locale, authorities.
func (t *tree) addData(ctx context.Context, py interpreter) error {
	for _, dir := range []struct {
		source string
		skip   func(string, bool) bool
	}{
		{"/usr/share/zoneinfo", func(rel string, _ bool) bool { return rel == "right" || rel == "posix" }},
		{"/usr/lib/locale/C.utf8", nil},
	} {
		if info, err := os.Stat(dir.source); err != nil || !info.IsDir() {
			continue
		}
		if err := t.copyDir(ctx, dir.source, dir.source, dir.skip); err != nil {
			return err
		}
	}
	if err := t.link("/usr/share/zoneinfo/Etc/UTC", "/etc/localtime"); err != nil {
		return err
	}
	return t.addAuthorities(py)
}

// addAuthorities puts the host's trusted authorities where Python's OpenSSL
// looks for them.
func (t *tree) addAuthorities(py interpreter) error {
	for _, source := range certBundles {
		if _, err := os.Stat(source); err != nil {
			continue
		}
		if err := t.file(source, bundle); err != nil {
			return err
		}
		break
	}
	if _, err := os.Stat("/etc/ssl/openssl.cnf"); err == nil {
		if err := t.file("/etc/ssl/openssl.cnf", "/etc/ssl/openssl.cnf"); err != nil {
			return err
		}
	}
	for from, to := range map[string]string{
		"/usr/lib/ssl/openssl.cnf": "/etc/ssl/openssl.cnf", "/usr/lib/ssl/certs": "/etc/ssl/certs",
	} {
		if err := t.link(to, from); err != nil {
			return err
		}
	}
	if !t.has(bundle) || len(py.CertPaths) == 0 {
		return nil
	}
	if file := py.CertPaths[0]; filepath.IsAbs(file) && filepath.Clean(file) == file {
		return t.link(bundle, file)
	}
	return nil
}

// addEtc writes the few files that a C library asks for.
func (t *tree) addEtc() error {
	for path, content := range map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n" +
			"user:x:1000:1000:user:/workspace:/bin/sh\n" +
			"init:x:1001:1001:init:/:/bin/false\n" +
			"nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
		"/etc/group":         "root:x:0:\ntty:x:5:\nuser:x:1000:\ninit:x:1001:\nnogroup:x:65534:\n",
		"/etc/hosts":         "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n",
		"/etc/hostname":      "sandbox\n",
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
		"/etc/resolv.conf":   "",
		"/etc/os-release":    "ID=tcid\nNAME=\"tcid sandbox\"\nPRETTY_NAME=\"tcid sandbox\"\n",
		"/etc/timezone":      "Etc/UTC\n",
	} {
		if err := t.write(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
