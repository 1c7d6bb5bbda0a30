package workspace

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// model is what a workspace should be: paths with what is there. A value's
// first byte is the type ('f' file, 'd' directory, 'l' link, 'p' FIFO), the rest a file's
// content.
type model map[string]string

// parents says why nothing can be at name, because of what is above it.
// ErrNotFound is only returned for a lookup, since Put makes parents.
func (m model) parents(name string) error {
	for i, c := range name {
		if c != '/' {
			continue
		}
		switch kind := m[name[:i]]; {
		case kind == "":
			return ErrNotFound
		case kind[0] == 'l':
			return ErrLink
		case kind[0] != 'd':
			return ErrNotDirectory
		}
	}
	return nil
}

func (m model) kind(name string) byte {
	if name == "." {
		return 'd'
	}
	if m[name] == "" {
		return 0
	}
	return m[name][0]
}

// find is parents, and ErrNotFound when nothing is there.
func (m model) find(name string) error {
	if err := m.parents(name); err != nil {
		return err
	}
	if m.kind(name) == 0 {
		return ErrNotFound
	}
	return nil
}

func (m model) fileError(name string) error {
	return map[byte]error{'d': ErrIsDirectory, 'l': ErrLink, 'p': ErrNotRegular}[m.kind(name)]
}

func (m model) put(name, content string, keep bool) (created bool, err error) {
	if err := m.parents(name); err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	kind := m.kind(name)
	if kind == 'd' {
		return false, ErrIsDirectory
	}
	if kind != 0 && keep {
		return false, ErrExists
	}
	if err := m.fileError(name); err != nil {
		return false, err
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		m[dir] = "d"
	}
	m[name] = "f" + content
	return kind == 0, nil
}

func (m model) get(name string) (string, error) {
	if err := m.find(name); err != nil {
		return "", err
	}
	if err := m.fileError(name); err != nil {
		return "", err
	}
	return m[name][1:], nil
}

func (m model) below(name string, recursive bool) (names []string) {
	for p := range m {
		if rel, ok := strings.CutPrefix(p, name+"/"); ok || name == "." {
			if recursive || !strings.Contains(strings.TrimPrefix(rel, "./"), "/") {
				names = append(names, p)
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	})
	return names
}

func (m model) list(name string, recursive bool) ([]string, error) {
	if err := m.find(name); name != "." && err != nil {
		return nil, err
	}
	switch m.kind(name) {
	case 'l':
		return nil, ErrLink
	case 'd':
		return m.below(name, recursive), nil
	}
	return nil, ErrNotDirectory
}

func (m model) remove(name string, recursive bool) error {
	if err := m.find(name); err != nil {
		return err
	}
	below := m.below(name, true)
	if len(below) > 0 && !recursive {
		return ErrNotEmpty
	}
	for _, p := range append(below, name) {
		delete(m, p)
	}
	return nil
}

// TestModel compares random calls, on trees with random links, with the model.
func TestModel(t *testing.T) {
	root := newTmpfs(t, "size=64m", false)
	ctx := context.Background()
	d := openDirAt(t, root, testID)
	part := rapid.SampledFrom([]string{"a", "b", "a-b"})
	names := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(part, 1, 4).Draw(t, "parts"), "/")
	})
	types := map[byte]string{'f': TypeFile, 'd': TypeDirectory, 'l': TypeSymlink, 'p': TypeOther}
	rapid.Check(t, func(t *rapid.T) {
		m := model{}
		for _, name := range []string{"a", "b", "a-b"} {
			if err := d.Remove(name, true); err != nil && !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
		}
		same := func(what string, got, want error) {
			t.Helper()
			if (want == nil) != (got == nil) || !errors.Is(got, want) {
				t.Fatalf("%s: error is %v, the model's %v", what, got, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				name, content, keep := names.Draw(t, "name"), rapid.StringN(0, 3, 9).Draw(t, "content"), rapid.Bool().Draw(t, "keep")
				_, created, err := d.Put(ctx, name, strings.NewReader(content), PutOptions{NoOverwrite: keep})
				wantCreated, want := m.put(name, content, keep)
				same("put", err, want)
				if created != wantCreated {
					t.Fatalf("created %v, the model's %v", created, wantCreated)
				}
			},
			"get": func(t *rapid.T) {
				name := names.Draw(t, "name")
				content, err := get(d, name)
				wantContent, want := m.get(name)
				same("get", err, want)
				if content != wantContent {
					t.Fatalf("content %q, the model's %q", content, wantContent)
				}
			},
			"stat": func(t *rapid.T) {
				name := names.Draw(t, "name")
				info, err := d.Stat(name)
				same("stat", err, m.find(name))
				if err == nil && info.Type != types[m.kind(name)] {
					t.Fatalf("type %s, the model's %c", info.Type, m.kind(name))
				}
			},
			"list": func(t *rapid.T) {
				name, recursive := rapid.OneOf(names, rapid.Just(".")).Draw(t, "name"), rapid.Bool().Draw(t, "recursive")
				infos, _, err := d.List(ctx, name, recursive, 0)
				want, wantErr := m.list(name, recursive)
				same("list", err, wantErr)
				var got []string
				for _, info := range infos {
					got = append(got, info.Path)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatal(diff)
				}
			},
			"remove": func(t *rapid.T) {
				name, recursive := names.Draw(t, "name"), rapid.Bool().Draw(t, "recursive")
				same("remove", d.Remove(name, recursive), m.remove(name, recursive))
			},
			"session": func(t *rapid.T) {
				// What hostile code does: links of all kinds, FIFOs, directories.
				name := names.Draw(t, "name")
				if m.parents(name) != nil || m.kind(name) != 0 {
					return
				}
				file := filepath.Join(root, name)
				var err error
				switch kind := rapid.SampledFrom([]string{"d", "l", "p", "f"}).Draw(t, "kind"); kind {
				case "d":
					err, m[name] = os.Mkdir(file, 0o755), kind
					err = errors.Join(err, os.Chown(file, testID, testID))
				case "l":
					target := rapid.SampledFrom([]string{"a", ".", "..", "b/a", "/", "/etc/passwd", "none", "a-b"}).Draw(t, "target")
					err, m[name] = os.Symlink(target, file), kind
				case "p":
					err, m[name] = unix.Mkfifo(file, 0o666), kind
				case "f":
					for _, other := range m.below(".", true) {
						if m.kind(other) == 'f' {
							// A hard link. Put replaces names, so the other keeps its content.
							err, m[name] = os.Link(filepath.Join(root, other), file), m[other]
							break
						}
					}
				}
				if err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}
