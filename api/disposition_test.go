package api

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestContentDisposition(t *testing.T) {
	for name, want := range map[string]string{
		"plot.png":         `attachment; filename="plot.png"`,
		"a b;c,d='e'.txt":  `attachment; filename="a b;c,d='e'.txt"`,
		"größe.csv":        `attachment; filename="gr__e.csv"; filename*=UTF-8''gr%C3%B6%C3%9Fe.csv`,
		`say "hi".txt`:     `attachment; filename="say _hi_.txt"; filename*=UTF-8''say%20%22hi%22.txt`,
		"100%41.txt":       `attachment; filename="100_41.txt"; filename*=UTF-8''100%2541.txt`,
		"a\r\nSet-Cookie:": `attachment; filename="a__Set-Cookie:"`,
		`..\..\x`:          `attachment; filename=".._.._x"`,
		"../x":             `attachment; filename=".._x"`,
		"\xff.txt":         `attachment; filename="_.txt"; filename*=UTF-8''%EF%BF%BD.txt`,
		"\u202etxt.exe":    `attachment; filename="_txt.exe"`,
		"":                 `attachment; filename="download"`,
		"..":               `attachment; filename="download"`,
	} {
		if got := contentDisposition(name); got != want {
			t.Errorf("contentDisposition(%q)\n got %s\nwant %s", name, got, want)
		}
	}
}

// FuzzContentDisposition: whatever the name, the header is one line of plain
// ASCII, a parser reads back exactly one attachment, and a harmless name as it
// was.
func FuzzContentDisposition(f *testing.F) {
	for _, name := range []string{"a.txt", "größe", `"; filename=evil`, "\r\n\r\n<html>", "%2e%2e%2f", "日本.csv", "\xc3", strings.Repeat("ü", 300)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		value := contentDisposition(name)
		for _, c := range []byte(value) {
			if c < 0x20 || c >= 0x7f {
				t.Fatalf("%q holds the byte %#x", value, c)
			}
		}
		if n := strings.Count(value, `"`); n != 2 {
			t.Fatalf("%q has %d quotes", value, n)
		}
		kind, params, err := mime.ParseMediaType(value)
		if err != nil || kind != "attachment" || len(params) != 1 {
			t.Fatalf("%q is read as %q, %v, %v", value, kind, params, err)
		}
		got, want := params["filename"], dispositionName(name)
		if got != want {
			t.Fatalf("%q: read back %q, want %q", value, got, want)
		}
		if got == "" || got == "." || got == ".." || strings.ContainsAny(got, "/\\\x00\r\n") || len(got) > maxDispositionName || !utf8.ValidString(got) {
			t.Fatalf("%q: the name %q is not harmless", value, got)
		}
		if dispositionName(got) != got {
			t.Fatalf("the name %q changes when it is used again", got)
		}
	})
}
