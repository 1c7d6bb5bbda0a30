package rootfs

import (
	"context"
	"debug/elf"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tcid/test/repo"
)

const hostSecret = "a secret of the host"

// stage makes what an installer may have left of hostile wheels: entries of a
// kind, a path and a content, with NUL between them. Targets of links may lead
// to secret.
func stage(dir, secret, text string) {
	words := strings.Split(text, "\x00")
	for ; len(words) >= 3; words = words[3:] {
		kind, path, content := words[0], words[1], words[2]
		if !filepath.IsLocal(path) {
			continue
		}
		path = filepath.Join(dir, path)
		_ = os.MkdirAll(filepath.Dir(path), dirMode)
		switch kind {
		case "d":
			_ = os.Mkdir(path, dirMode)
		case "l":
			_ = os.Symlink(strings.ReplaceAll(content, "SECRET", secret), path)
		default:
			_ = os.WriteFile(path, []byte(content), fileMode)
		}
	}
}

// What hostile wheels unpack to gets into the image or is refused: nothing of
// the host gets in, and nothing is written elsewhere.
func FuzzPackages(f *testing.F) {
	for _, seed := range [][]string{
		{"f", "x/__init__.py", "", "f", "x-1.dist-info/METADATA", "Name: x\nVersion: 1\n", "f", "x-1.dist-info/RECORD", "x/__init__.py,,0\n../../bin/x,,\n"},
		{"f", "bin/x", "#!/usr/bin/python3\nprint(1)\n", "d", "bin/y", "", "f", "share/x/y", "z"},
		{"l", "x.py", "SECRET", "l", "x", "..", "l", "bin", "SECRET", "l", "y-1.dist-info", "/etc"},
		{"f", "x-1.dist-info/RECORD", "/etc/passwd,,\n../../../../x,,\n\"", "f", "x-1.dist-info/direct_url.json", "{}"},
		{"l", "x-1.dist-info/RECORD", "SECRET", "l", "x-1.dist-info/METADATA", "SECRET"},
		{"f", "x/__pycache__", "", "d", "x/__pycache__/x.cpython-311.pyc", "", "f", "bin/a\nb", "#! " + strings.Repeat("x", 300)},
	} {
		f.Add(strings.Join(seed, "\x00"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		base := t.TempDir()
		dir, outside := filepath.Join(base, "staged"), filepath.Join(base, "outside")
		secret := filepath.Join(outside, "secret")
		for _, d := range []string{dir, outside} {
			if err := os.Mkdir(d, dirMode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(secret, []byte(hostSecret), fileMode); err != nil {
			t.Fatal(err)
		}
		stage(dir, secret, text)
		tr := emptyTree(t)
		py := interpreter{Prefix: "/opt", ExecPrefix: "/opt", Packages: "/opt/lib/p"}
		if err := tr.addPackages(context.Background(), py, dir); err != nil {
			return
		}
		if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
			t.Errorf("outside of the image: %v, %v", entries, err)
		}
		if b, err := os.ReadFile(secret); err != nil || string(b) != hostSecret {
			t.Errorf("the host's file is now %q, %v", b, err)
		}
		err := filepath.WalkDir(tr.path, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if strings.Contains(string(b), hostSecret) {
				t.Errorf("the image's %q has the host's secret", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if _, _, err := readTree(context.Background(), tr.path); err != nil {
			t.Error(err)
		}
	})
}

// A library of a wheel is read whatever it holds, and asks for no more than its
// own size.
func FuzzELF(f *testing.F) {
	for _, name := range []string{"fork.so", "tcid-init"} {
		if b, err := os.ReadFile(repo.Path("sandbox", "container", "init", name)); err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte(elf.ELFMAG))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "x.so")
		if err := os.WriteFile(path, b, fileMode); err != nil {
			t.Fatal(err)
		}
		o, err := readELF(path, elf.EM_X86_64)
		if err != nil || o == nil {
			return
		}
		if len(o.interp) > len(b) {
			t.Errorf("an interpreter's name of %d bytes", len(o.interp))
		}
		expand(append(o.runpath, o.rpath...), "/usr/lib/x.so")
	})
}
