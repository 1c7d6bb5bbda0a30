package rootfs

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// here is a directory with a wheel, an archive and a directory, as the working
// directory.
func here(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"a-1-py3-none-any.whl", "a-1.tar.gz", "project/setup.py", "sub/b-1-py3-none-any.whl"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), dirMode), os.WriteFile(path, nil, fileMode)); err != nil {
			t.Fatal(err)
		}
	}
	if t, ok := t.(*testing.T); ok {
		t.Chdir(dir)
	}
	return dir
}

func TestRequirementsThatAreTaken(t *testing.T) {
	dir := here(t)
	at := "file://" + dir
	for text, want := range map[string]string{
		"numpy":                          "numpy",
		" numpy >= 2 , < 3 ":             "numpy>= 2 , < 3",
		"numpy(>=2)":                     "numpy(>=2)",
		"a.b-c_d===1+local":              "a.b-c_d===1+local",
		"pandas [excel, x]~=2.0":         "pandas[excel, x]~=2.0",
		"x==1.*":                         "x==1.*",
		"x ; python_version < '3.9'":     "x ; python_version < '3.9'",
		`x>=1;sys_platform == "a/b"`:     `x>=1 ; sys_platform == "a/b"`,
		"x # why":                        "x",
		"x==1 --hash=sha256:ab":          "x==1 --hash=sha256:ab",
		"x==1 --hash sha256:ab":          "x==1 --hash=sha256:ab",
		"./a-1-py3-none-any.whl":         at + "/a-1-py3-none-any.whl",
		"a-1-py3-none-any.whl":           at + "/a-1-py3-none-any.whl",
		"a-1-py3-none-any.whl[more]":     "a[more] @ " + at + "/a-1-py3-none-any.whl",
		"a @ sub/b-1-py3-none-any.whl":   "a @ " + at + "/sub/b-1-py3-none-any.whl",
		"https://h/a-1-py3-none-any.whl": "https://h/a-1-py3-none-any.whl",
		"a[x]@https://h/%61.whl#sha256=ab ; os_name == 'x'": "a[x] @ https://h/%61.whl#sha256=ab ; os_name == 'x'",
		"file:///x/a.whl": "file:///x/a.whl",
	} {
		got, err := readRequirements(BuildOptions{Requirements: []string{text}})
		if err != nil || len(got.packages) != 1 || got.packages[0] != want {
			t.Errorf("%q = %q, %v; want %q", text, got.packages, err, want)
		}
	}
}

func TestRequirementsThatAreRefused(t *testing.T) {
	here(t)
	for text, reason := range map[string]string{
		"":                                  "no requirement",
		"# nothing":                         "no requirement",
		"numpy pandas":                      "--pip A --pip B",
		"numpy,pandas":                      "one requirement at a time",
		"numpy >= 2 pandas":                 "one requirement at a time",
		"-e .":                              "an option",
		"--editable=.":                      "an option",
		"-r x":                              "an option",
		"--index-url=http://x":              "an option",
		"x --global-option=y":               "not taken",
		"x --config-settings a=b":           "not taken",
		"x --no-binary x":                   "only wheels",
		"x -e .":                            "only wheels",
		"x --pre":                           "only --hash",
		"x --hash=sha256:ab --hash=$(id)":   "only --hash",
		"x ; python_version > '3' --foo":    "not taken",
		"x ;":                               "semicolon",
		"x ; $HOME":                         "no condition",
		"git+https://h/x.git":               "repository",
		"GIT+ssh://h/x.git":                 "repository",
		"x @ git+https://h/x.git":           "repository",
		"x @ git+https://h/x.git#/y.whl":    "repository",
		"git@h:x/y.git":                     "no wheel",
		"https://h/x.tar.gz":                "no wheel",
		"https://h/x.tar.gz#/y.whl":         "no wheel",
		"https://h/x.tar.gz?y=.whl":         "no wheel",
		"https://h/x.zip":                   "no wheel",
		"ftp://h/x.whl":                     "no URL",
		"file:x.whl":                        "no URL",
		"x @ ./a-1.tar.gz":                  "no wheel",
		"./a-1.tar.gz":                      "no wheel",
		"a-1.tar.gz":                        "archive",
		"a==1.zip":                          "archive",
		"./project":                         "no wheel",
		".":                                 "no wheel",
		"..":                                "no wheel",
		"project/":                          "no wheel",
		"/":                                 "no wheel",
		"x @ ":                              "no wheel",
		"./missing-1-py3-none-any.whl":      "no such file",
		"./sub/../project/.whl":             "no such file",
		"x\n--no-binary=:all:":              "doesn't belong",
		"x\r-e .":                           "doesn't belong",
		"x\u2028-e .":                       "doesn't belong",
		"x\x00":                             "doesn't belong",
		"x\u00a0y":                          "doesn't belong",
		`x\`:                                "backslash",
		"x; $(touch y)":                     "no condition",
		"x==1'":                             "not understood",
		"@ https://h/x.whl":                 "no",
		"[x]":                               "no requirement",
		"x @ https://h/a b.whl":             "space",
		"http://h/x.whl --hash=sha256:ab x": "not understood after an option",
	} {
		got, err := readRequirements(BuildOptions{Requirements: []string{text}})
		var mistake *RequirementError
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "--pip") {
			t.Errorf("%q: %q, %v; want %q", text, got.packages, err, reason)
		}
	}
}

func TestRequirementFiles(t *testing.T) {
	dir := here(t)
	t.Setenv("TCID_TEST_TOKEN", "secret")
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), fileMode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("sub/more.txt", "b-1-py3-none-any.whl\n-fhttps://h/links\n")
	write("limits.txt", "numpy<3\n")
	path := write("all.txt", "\ufeff# a comment \\\nnumpy>=2, \\\n  <4 # another\r\n\n-r sub/more.txt\n--constraint=limits.txt\n"+
		"-i https://u:${TCID_TEST_TOKEN}@h/simple --extra-index-url https://other/simple\n--pre\n--require-hashes\n"+
		"--only-binary=:all:\n--prefer-binary\n-f sub\nx==1 \\\n    --hash=sha256:ab \\\n    --hash=sha256:cd")
	got, err := readRequirements(BuildOptions{
		Requirements: []string{"first"}, RequirementFiles: []string{path}, FindLinks: []string{"project"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := requirements{
		packages: []string{"first", "numpy>=2, <4", "file://" + dir + "/sub/b-1-py3-none-any.whl",
			"x==1 --hash=sha256:ab --hash=sha256:cd"},
		constraints: []string{"numpy<3"}, index: "https://u:secret@h/simple", extraIndexes: []string{"https://other/simple"},
		findLinks:   []string{"https://h/links", "file://" + dir + "/sub", "file://" + dir + "/project"},
		prereleases: true, hashes: true,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(requirements{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// The flags win.
	got, err = readRequirements(BuildOptions{RequirementFiles: []string{path}, IndexURL: "https://mine", NoIndex: true})
	if err != nil || got.index != "https://mine" || !strings.HasPrefix(got.lines(), "--no-index\n--find-links") {
		t.Errorf("%v, %+v", err, got)
	}
	for text, want := range map[string]string{
		"x\n-e .\n":              "bad.txt:2: -e: only wheels",
		"x\n\n--no-binary :all:": "bad.txt:3: --no-binary: only wheels",
		"--trusted-host h":       "bad.txt:1: the option --trusted-host is not taken",
		"-x":                     "not taken",
		"--pre=yes":              "takes no value",
		"-r":                     "needs a value",
		"-r --pre":               "needs a value",
		"-r missing.txt":         "bad.txt:1: can't be read",
		"-r bad.txt":             "includes itself",
		"-r project":             "can't be read",
		"-r https://h/r.txt":     "download this one first",
		"-c https://h/r.txt":     "download this one first",
		"-r 'a b'":               "quotes",
		"-r limits.txt numpy":    "not understood after an option",
		"-i ftp://h":             "no URL",
		"-i https://p w@h":       "not understood",
		"-f missing":             "wheels can't be looked for",
		"--hash=sha256:ab":       "belongs behind a requirement",
		"x\x0c-e .":              "doesn't belong",
		"x\x85-e .":              "not UTF-8",
		"x \\\n-e .":             "bad.txt:1: -e: only wheels",
		"./project":              "bad.txt:1: " + dir + "/project is no wheel",
		"${NOT_SET_AT_ALL}":      "no requirement",
		"x\\ y":                  "backslash",
	} {
		path := write("bad.txt", text)
		_, err := readRequirements(BuildOptions{RequirementFiles: []string{path}})
		var mistake *RequirementError
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

// Files that include others again and again end, as do those without an end.
func TestRequirementFilesAreBounded(t *testing.T) {
	dir := here(t)
	leaf, many := filepath.Join(dir, "leaf"), filepath.Join(dir, "many")
	if err := errors.Join(os.WriteFile(leaf, nil, fileMode),
		os.WriteFile(many, []byte(strings.Repeat("-r leaf\n", mostRequirementFiles)), fileMode)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{many: "more than 100 files", "/dev/zero": "more than 1048576 bytes"} {
		if _, err := readRequirements(BuildOptions{RequirementFiles: []string{path}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
}

// Whatever is accepted is, as pip would read it again, one requirement of a name
// or a wheel.
func FuzzRequirements(f *testing.F) {
	for _, seed := range []string{
		"numpy>=2", "a[x]@https://h/%61.whl#sha256=ab ; os_name == 'x'", "x --hash=sha256:ab", "x\\\n-e .", "-r x", "-f.", "-i https://h",
		"x @ git+https://h/x", "./a.tar.gz", "file:///a.whl;b", "https://h/a.tar.gz;b.whl", "${HOME}", "\ufeffx", "--pre --no-binary=x",
	} {
		f.Add(seed)
	}
	dir := here(f)
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "r.txt")
		if err := os.WriteFile(path, []byte(text), fileMode); err != nil {
			t.Fatal(err)
		}
		want, err := readRequirements(BuildOptions{RequirementFiles: []string{path}})
		if err != nil {
			return
		}
		for _, line := range append(want.packages, want.constraints...) {
			if strings.ContainsAny(line, "\r\n\\\x00") || strings.HasPrefix(line, "-") {
				t.Errorf("%q became %q", text, line)
			}
			again, err := splitLine(line)
			if err != nil {
				t.Fatalf("%q became %q: %v", text, line, err)
			}
			if once, err := checkRequirement(again, dir); err != nil || once != line {
				t.Errorf("%q became %q, and that %q, %v", text, line, once, err)
			}
			subject, _ := cutMarker(line)
			if _, place, ok := strings.Cut(subject, " @ "); ok {
				subject = place
			}
			if !strings.Contains(subject, "/") {
				continue
			}
			subject, _, _ = strings.Cut(subject, " --hash")
			if u, err := url.Parse(subject); err != nil || !strings.HasSuffix(u.Path, ".whl") {
				t.Errorf("%q became %q, which is no wheel: %v", text, line, err)
			}
		}
		for _, line := range strings.Split(strings.TrimSuffix(want.lines(), "\n"), "\n") {
			if name, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(name, "-") && longOptions[name] != name+"=" {
				t.Errorf("%q became the option %q", text, line)
			}
		}
	})
}
