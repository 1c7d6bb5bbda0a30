package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// programDirs are searched instead of the caller's PATH: the image must not
// depend on who makes it, nor hold wrappers from somebody's home.
var programDirs = []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin"}

// programs are copied when the host has them; sh must be there. ldconfig is for
// ctypes.util.find_library.
var programs = strings.Fields(`
	sh ls cat cp mv rm mkdir rmdir ln chmod touch pwd echo printf env sleep date true false test [ expr
	head tail wc sort uniq cut tr tee paste comm join split seq yes nl fold expand od base64 md5sum sha1sum
	sha256sum basename dirname realpath readlink stat df du mktemp id whoami uname nproc timeout nice nohup
	factor shuf tac rev install sync sha512sum cksum numfmt truncate
	grep egrep fgrep sed awk find xargs tar gzip gunzip bzip2 xz diff cmp which less more ldconfig`)

// addPrograms copies the shell and the usual small programs.
func (t *tree) addPrograms() error {
	// One file may be many programs, as in BusyBox and uutils: it is copied
	// once, and the others become links to it.
	have := map[string]string{} // path on the host to path in the image
	for _, name := range programs {
		source, dir := findProgram(name)
		if source == "" {
			if name == "sh" {
				return fmt.Errorf("the host has no sh in %s; install a shell, such as dash", strings.Join(programDirs, ", "))
			}
			continue
		}
		inside := filepath.Join(usrPath(dir), name)
		if first, known := have[source]; known {
			if err := t.link(first, inside); err != nil {
				return err
			}
			continue
		}
		have[source] = inside
		if err := t.file(source, inside); err != nil {
			return err
		}
	}
	return nil
}

// findProgram returns a program's real path and the directory that it was found
// in; both are empty when the host has none.
func findProgram(name string) (real, dir string) {
	for _, dir := range programDirs {
		real, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if info, err := os.Stat(real); err == nil && info.Mode().IsRegular() && info.Mode()&executeBits != 0 {
			return real, dir
		}
	}
	return "", ""
}
