package workspace

import (
	"errors"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	deep := strings.Repeat("d/", MaxDepth-1) + "f"
	long := strings.Repeat("x", MaxComponentBytes)
	full := strings.Repeat(long+"/", 16)[:MaxNameBytes]
	for _, c := range []struct{ name, want string }{
		{"a", "a"}, {"a/b", "a/b"}, {"./a//b/.", "a/b"}, {"a/", "a"},
		{".", "."}, {"/", "."}, {"./", "."}, {"/workspace", "."}, {"/workspace/", "."},
		{"/workspace/a", "a"}, {"//workspace//a", "a"}, {"/workspace/workspace/a", "workspace/a"},
		{"workspace/a", "workspace/a"}, {"/workspaces/a", "workspaces/a"}, {"/a/workspace", "a/workspace"},
		{"/etc/passwd", "etc/passwd"}, {"...", "..."}, {"..a/b..", "..a/b.."}, {"a\nb", "a\nb"}, {"\xff", "\xff"},
		{deep, deep}, {long, long}, {full, full}, {" ", " "}, {`a\..\b`, `a\..\b`},
	} {
		if got, err := Clean(c.name); got != c.want || err != nil {
			t.Errorf("Clean(%.40q) = %.40q, %v; want %.40q", c.name, got, err, c.want)
		}
	}
	for _, name := range []string{
		"", "..", "../a", "a/..", "a/../b", "/..", "/workspace/..", "/workspace/../etc", "a\x00b", "\x00",
		"d/" + deep, long + "x", full + "y", strings.Repeat("/", MaxNameBytes+1),
	} {
		got, err := Clean(name)
		if !errors.Is(err, ErrInvalidName) || got != "" {
			t.Errorf("Clean(%.40q) = %.40q, %v; want ErrInvalidName", name, got, err)
		} else if len(err.Error()) > 4*maxQuoted+200 {
			t.Errorf("Clean(%.40q): a message of %d bytes", name, len(err.Error()))
		}
	}
}

func TestCleanNew(t *testing.T) {
	for name, want := range map[string]error{
		"a\nb": ErrInvalidName, "a\x7f": ErrInvalidName, "\u0085": ErrInvalidName, "\xff": ErrInvalidName,
		"a/": ErrIsDirectory, "a/.": ErrIsDirectory, ".": ErrIsDirectory, "/": ErrIsDirectory, "..": ErrInvalidName,
	} {
		_, err := CleanNew(name)
		if !errors.Is(err, want) {
			t.Errorf("CleanNew(%q): %v, want %v", name, err, want)
		}
	}
	if got, err := CleanNew("/workspace/größe/日本.txt"); got != "größe/日本.txt" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a", "/workspace/a", "../x", "a/./b//c", "\x00", "/", "..."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := Clean(name)
		if err != nil {
			if !errors.Is(err, ErrInvalidName) || got != "" {
				t.Fatalf("Clean(%q) = %q, %v", name, got, err)
			}
			return
		}
		if again, err := Clean(got); again != got || err != nil {
			t.Fatalf("not idempotent: %q, then %q, %v", got, again, err)
		}
		if len(got) > len(name) || len(got) > MaxNameBytes || strings.Count(got, "/") >= MaxDepth {
			t.Fatalf("Clean(%q) = %q is too long", name, got)
		}
		if got == "." {
			return
		}
		for part := range strings.SplitSeq(got, "/") {
			if part == "" || part == "." || part == ".." || len(part) > MaxComponentBytes || strings.ContainsRune(part, 0) {
				t.Fatalf("Clean(%q) = %q with the part %q", name, got, part)
			}
		}
	})
}
