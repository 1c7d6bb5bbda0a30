package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/term"
)

// typed are keys that wait in a pipe, as in a terminal.
func typed(t *testing.T, ctx context.Context, text string) (*keys, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKeys(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.close(); r.Close(); w.Close() })
	if _, err := w.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return k, w
}

// Reads never go beyond the end of a line.
func TestKeys(t *testing.T) {
	k, w := typed(t, t.Context(), "ab\rc\r\nd\n\x03e")
	w.Close()
	var pieces []string
	var drops []bool
	for {
		p := make([]byte, 100)
		n, err := k.Read(p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		pieces, drops = append(pieces, string(p[:n])), append(drops, k.dropped())
	}
	if diff := cmp.Diff([]string{"ab\r", "c\r\n", "d\n", "\x03", "e"}, pieces); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]bool{false, false, false, true, false}, drops); diff != "" {
		t.Error(diff)
	}
}

// An indent comes before what is typed later, and not at all before what is
// there already.
func TestKeysInsert(t *testing.T) {
	k, w := typed(t, t.Context(), "a\rb")
	p := make([]byte, 100)
	read := func() string {
		n, err := k.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		return string(p[:n])
	}
	got := []string{read()}
	k.insert("  ")
	got = append(got, read())
	k.insert("  ")
	got = append(got, read())
	_, _ = w.WriteString("c")
	got = append(got, read())
	if diff := cmp.Diff([]string{"a\r", "b", "  ", "c"}, got); diff != "" {
		t.Error(diff)
	}
}

// A terminal where nothing is typed must not hold up the end.
func TestKeysEndWithTheContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	k, _ := typed(t, ctx, "")
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if _, err := k.Read(make([]byte, 10)); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// The line library and our keys together: what was pasted is told apart.
func TestPaste(t *testing.T) {
	k, _ := typed(t, t.Context(), "one\r\x1b[200~def f():\r\n\treturn 1\n\nrest\x1b[201~ typed\r")
	lines := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{k, io.Discard}, "> ")
	lines.AutoCompleteCallback = func(string, int, rune) (string, int, bool) { return "", 0, false }
	var got []string
	for range 5 {
		line, err := lines.ReadLine()
		if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%q %t", line, err != nil))
	}
	want := []string{`"one" false`, `"def f():" true`, `"\treturn 1" true`, `"" true`, `"rest typed" false`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHistory(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	path := filepath.Join(state, "tcid", "history")
	h, err := openHistory()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"a", "", "  ", "a", "b", strings.Repeat("x", maxRecall+1), "\xff", "a"} {
		h.Add(line)
	}
	h.close()
	h, err = openHistory()
	if err != nil || h.Len() != 3 || h.At(0) != "a" || h.At(1) != "b" || h.At(2) != "a" {
		t.Errorf("got %q, %v", h.lines, err)
	}
	for i := range 3 * maxHistory {
		h.Add(fmt.Sprint("line ", i))
	}
	h.close()
	if h.Len() != maxHistory {
		t.Errorf("%d lines are remembered", h.Len())
	}
	// The file is cut when it is opened, and stays the user's alone.
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	h, err = openHistory()
	if err != nil || h.Len() != maxHistory || h.At(0) != fmt.Sprint("line ", 3*maxHistory-1) {
		t.Errorf("%d lines, %v", h.Len(), err)
	}
	h.close()
	content, err := os.ReadFile(path)
	if err != nil || strings.Count(string(content), "\n") != maxHistory {
		t.Errorf("%d lines in the file, %v", strings.Count(string(content), "\n"), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, %v", entries, err)
	}
}

// Without a place for the file, lines are remembered as long as the program runs.
func TestHistoryWithoutAPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string][2]string{"nothing": {"", ""}, "relative": {"a", "b"}, "a file": {file, "/"}} {
		t.Setenv("XDG_STATE_HOME", env[0])
		t.Setenv("HOME", env[1])
		h, err := openHistory()
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		h.Add("a")
		if h.Len() != 1 {
			t.Errorf("%s: nothing is remembered", name)
		}
		h.close()
	}
}

func TestMatches(t *testing.T) {
	all := harmless([]string{"alpha", "", "al\x1b[2J", "alp\nha", "alpine", "\xff"})
	if diff := cmp.Diff([]string{"alpha", "alpine"}, all); diff != "" {
		t.Error(diff)
	}
	for want, words := range map[string][]string{"alp": all, "äh": {"ähre", "ähm"}, "": {"a", "b"}, "one": {"one"}, "ab": {"ab", "abc"}} {
		if got := commonPrefix(words); got != want {
			t.Errorf("%q have %q in common, want %q", words, got, want)
		}
	}
	if got, want := inColumns([]string{"a", "bb", "ccc", "d", "e"}, 12), "a    d\nbb   e\nccc\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	many := make([]string, maxListed+7)
	for i := range many {
		many[i] = "x"
	}
	if got := inColumns(many, 80); !strings.HasSuffix(got, "… and 7 more\n") || strings.Count(got, "x") != maxListed {
		t.Errorf("got %q", got)
	}
}

func TestCells(t *testing.T) {
	for in, want := range map[string][]string{
		"":                                     nil,
		"\n \n":                                nil,
		"a\nb":                                 {"a\nb"},
		"# %%\na\n# %% two\n\nb\n# %%\n# %%\n": {"a\n", "\nb\n"},
		"s = '''\n #%%\n # %%\n'''\n# %%[x]\nlast": {"s = '''\n #%%\n # %%\n'''\n", "last"},
		"a\n\xff": {"error: standard input is not UTF-8 text"},
	} {
		cells := make(chan cell)
		go readCells(t.Context(), strings.NewReader(in), cells)
		var got []string
		for c := range cells {
			if c.err != nil {
				c.code = "error: " + c.err.Error()
			}
			got = append(got, c.code)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}
