package rootfs

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const scriptsDir = "/usr/local/bin"

// sharedDirs are what installers make beside packages, and where it belongs.
var sharedDirs = map[string]string{"bin": scriptsDir, "share": "/usr/share", "etc": "/usr/etc", "include": "/usr/include"}

// hostOnly are files of a .dist-info directory that tell about this host.
var hostOnly = []string{"direct_url.json", "uv_cache.json"}

// packages are those that stageWheels has put into a directory.
type packages struct {
	dir    string // on the host; the real path
	inside string // where the image's Python looks for packages
	names  []string
	shared map[string]string // top-level names in dir that belong elsewhere
	// rewritten are scripts that are not what they were: path inside to hash
	// and size as a RECORD has them.
	rewritten map[string][2]string
}

// addPackages copies what an installer has put into dir.
func (t *tree) addPackages(ctx context.Context, py interpreter, dir string) error {
	inside, err := py.target(py.Packages)
	if err != nil {
		return err
	}
	p := &packages{dir: dir, inside: inside, shared: map[string]string{}, rewritten: map[string][2]string{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("copy packages: %w", err)
	}
	var infos []string
	for _, e := range entries {
		name := e.Name()
		if to, ok := sharedDirs[name]; ok && e.IsDir() && !isFile(filepath.Join(dir, name, "__init__.py")) {
			p.shared[name] = to
		}
		if e.IsDir() && strings.HasSuffix(name, ".dist-info") {
			infos = append(infos, name)
			p.names = append(p.names, readDistribution(filepath.Join(dir, name)))
		}
	}
	if slices.ContainsFunc(p.names, func(n string) bool { return strings.HasPrefix(n, "pip==") }) {
		if err := t.removePip(py); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if err := t.addPackage(ctx, p, e); err != nil {
			return err
		}
	}
	for _, info := range infos {
		if err := t.writeRecord(p, info); err != nil {
			return err
		}
	}
	t.packages = p
	return nil
}

// addPackage copies one entry of the directory.
func (t *tree) addPackage(ctx context.Context, p *packages, e fs.DirEntry) error {
	name := e.Name()
	source := filepath.Join(p.dir, name)
	to, isShared := p.shared[name]
	switch {
	case isShared && to == scriptsDir:
		return t.addScripts(ctx, p, source)
	case isShared:
		return t.copyStaged(ctx, source, to, nil)
	case e.IsDir():
		info := strings.HasSuffix(name, ".dist-info")
		return t.copyStaged(ctx, source, filepath.Join(p.inside, name), func(rel string) bool {
			return info && (rel == "RECORD" || slices.Contains(hostOnly, rel))
		})
	case e.Type().IsRegular() && name != ".lock": // of uv
		return t.file(source, filepath.Join(p.inside, name))
	}
	return nil
}

// copyStaged copies a directory without its links, of which a wheel has none:
// copyDir would follow one to any file of the host.
func (t *tree) copyStaged(ctx context.Context, source, inside string, skip func(rel string) bool) error {
	return t.copyDir(ctx, source, inside, func(rel string, dir bool) bool {
		return !dir && !isFile(filepath.Join(source, rel)) || skip != nil && skip(rel)
	})
}

// removePip takes away the host's pip, so that its files and those of the one
// that was asked for do not mix.
func (t *tree) removePip(py interpreter) error {
	if !t.has("/usr/bin/pip") {
		return nil
	}
	paths := []string{"/usr/bin/pip", "/usr/bin/pip3", "/usr/bin/" + strings.Replace(py.name(), "python", "pip", 1)}
	for _, source := range []string{py.PipDir, py.PipInfo} {
		inside, err := py.target(source)
		if err != nil {
			return err
		}
		paths = append(paths, inside)
	}
	for _, path := range paths {
		if err := t.remove(path); err != nil {
			return err
		}
	}
	return nil
}

// addScripts copies programs, those in Python with the image's interpreter.
func (t *tree) addScripts(ctx context.Context, p *packages, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("copy scripts: %w", err)
	}
	for _, e := range entries {
		source, inside := filepath.Join(dir, e.Name()), filepath.Join(scriptsDir, e.Name())
		if e.IsDir() {
			err = t.copyStaged(ctx, source, inside, nil)
		} else if e.Type().IsRegular() {
			err = t.addScript(p, source, inside)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) addScript(p *packages, source, inside string) error {
	f, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("copy a script: %w", err)
	}
	defer f.Close()
	start := make([]byte, len("#!"))
	if n, err := f.Read(start); err != nil || string(start[:n]) != "#!" {
		return t.file(source, inside)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return fmt.Errorf("copy a script: %w", err)
	}
	changed := rewriteShebang(text)
	if bytes.Equal(changed, text) {
		return t.file(source, inside)
	}
	sum := sha256.Sum256(changed)
	p.rewritten[inside] = [2]string{"sha256=" + base64.RawURLEncoding.EncodeToString(sum[:]), strconv.Itoa(len(changed))}
	return t.write(inside, string(changed), programMode)
}

var (
	pythonLine = pattern(`^#![ \t]*(?:"(?:[^"\n]*/)?python[0-9.]*"|(?:[^ \t\n"]*/)?python[0-9.]*)([ \t][^\n]*)?\r?\n`)
	// shellLines are what installers write when the path is too long or has a
	// space in it: sh executes the second line, which is a string to Python.
	shellLines = pattern(`^#!/bin/sh\n'''exec' ("[^"\n]*/python[0-9.]*"|[^ \n]*/python[0-9.]*)[^\n]*\n' '''\n`)
)

// rewriteShebang makes a script start with the image's Python, unless another
// program starts it.
func rewriteShebang(text []byte) []byte {
	head := "#!" + pythonPath
	if m := shellLines().Find(text); m != nil {
		return append([]byte(head+"\n"), text[len(m):]...)
	}
	if m := pythonLine().FindSubmatch(text); m != nil {
		return append([]byte(strings.TrimRight(head+string(m[1]), " \t\r")+"\n"), text[len(m[0]):]...)
	}
	return text
}

// writeRecord makes the RECORD of an installed package: without what is not in
// the image, and with the paths of what has moved.
func (t *tree) writeRecord(p *packages, info string) error {
	text, err := os.ReadFile(filepath.Join(p.dir, info, "RECORD"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("copy packages: %w", err)
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	rows, err := r.ReadAll()
	if err != nil {
		return fmt.Errorf("copy packages: %s/RECORD: %w", info, err)
	}
	own := info + "/RECORD"
	var kept [][]string
	for _, row := range rows {
		inside := p.place(row[0])
		if row[0] != own && !t.has(inside) {
			continue
		}
		path, err := filepath.Rel(p.inside, inside)
		if err != nil {
			return fmt.Errorf("copy packages: %s: %w", own, err)
		}
		if now, ok := p.rewritten[inside]; ok {
			row = []string{path, now[0], now[1]}
		}
		row[0] = path
		kept = append(kept, row)
	}
	var out strings.Builder
	w := csv.NewWriter(&out)
	if err := w.WriteAll(kept); err != nil {
		return fmt.Errorf("copy packages: %s: %w", own, err)
	}
	return t.write(filepath.Join(p.inside, own), out.String(), fileMode)
}

// place is where in the image the file of a RECORD's row is. With pip, rows of
// shared files begin with "../../".
func (p *packages) place(row string) string {
	path := filepath.Clean(row)
	for strings.HasPrefix(path, "../") {
		path = strings.TrimPrefix(path, "../")
	}
	top, rest, _ := strings.Cut(path, "/")
	if to, ok := p.shared[top]; ok {
		return filepath.Join(to, rest)
	}
	return filepath.Join(p.inside, path)
}

// readDistribution is a package's name==version.
func readDistribution(info string) string {
	name, version, _ := strings.Cut(strings.TrimSuffix(filepath.Base(info), ".dist-info"), "-")
	fallback := name + "==" + version
	f, err := os.Open(filepath.Join(info, "METADATA"))
	if err != nil {
		return fallback
	}
	defer f.Close()
	name, version = "", ""
	for lines := bufio.NewScanner(f); lines.Scan() && lines.Text() != ""; {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch value = strings.TrimSpace(value); strings.ToLower(key) {
		case "name":
			name = value
		case "version":
			version = value
		}
	}
	if m := projectName().FindStringSubmatch(name); m == nil || m[1] != name || !versions().MatchString("=="+version) {
		return fallback
	}
	return name + "==" + version
}

func isFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}
