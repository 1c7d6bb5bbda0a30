package mcp

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Whatever a program shows, the text is bounded, is valid, begins as it began
// and ends as it ended.
func TestBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"line\n", "ü", "€", "🐍", "x", "\xff", "\n", "a longer piece without an end"})).Draw(t, "text"), "")
		most := rapid.IntRange(30, 400).Draw(t, "most")
		got, cut := bound(text, most)
		clean := strings.ToValidUTF8(text, "\uFFFD")
		if len(clean) <= most {
			if got != clean || cut != 0 {
				t.Fatalf("a short text was changed: %q, %d", got, cut)
			}
			return
		}
		head, tail, found := strings.Cut(got, "\n[... ")
		_, tail, end := strings.Cut(tail, " left out ...]\n")
		if !found || !end || !utf8.ValidString(got) || cut <= 0 {
			t.Fatalf("%q, %d", got, cut)
		}
		if !strings.HasPrefix(clean, head) || !strings.HasSuffix(clean, tail) || len(head)+len(tail) > most || len(clean)-cut > most {
			t.Errorf("%d of %d bytes: %q ... %q", most, len(clean), head, tail)
		}
	})
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"default": true, "a": true, "A-1.b_c": true, "9": true, strings.Repeat("x", 64): true,
		"": false, ".": false, "..": false, "-a": false, "_": false, "a/b": false, "a b": false, "ü": false, "a\n": false, strings.Repeat("x", 65): false,
	} {
		if isName(name) != want {
			t.Errorf("%q is a name: %v", name, !want)
		}
	}
}

// A file's URI names that file and no other.
func TestURIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		session := rapid.StringMatching(`[a-z][a-z0-9._-]{0,9}`).Draw(t, "session")
		path := strings.Join(rapid.SliceOfN(rapid.StringMatching(`[^/]+`), 1, 4).Draw(t, "path"), "/")
		gotSession, gotPath, err := parseURI(fileURI(session, path))
		if err != nil || gotSession != session || gotPath != path {
			t.Fatalf("%q of %q became %q of %q, %v, by %q", path, session, gotPath, gotSession, err, fileURI(session, path))
		}
	})
}

func TestTrimmed(t *testing.T) {
	text := "aü€🐍b"
	for i := range len(text) + 1 {
		got := trimmed([]byte(text[:i]), false)
		if !utf8.Valid(got) || i-len(got) >= utf8.UTFMax {
			t.Errorf("%d bytes: %q", i, got)
		}
	}
	if got := trimmed([]byte("x\xff"), false); string(got) != "x\xff" {
		t.Errorf("what is no text was changed: %q", got)
	}
	if got := trimmed([]byte("\xe2\x82"), true); string(got) != "\xe2\x82" {
		t.Errorf("the end of a file was changed: %q", got)
	}
}
