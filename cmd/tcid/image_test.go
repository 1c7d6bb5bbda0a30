package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Requirements are checked before anything happens: before an interpreter is
// looked for, and before anything is downloaded.
func TestImageBuildChecksRequirements(t *testing.T) {
	clearEnv(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "r.txt")
	if err := os.WriteFile(file, []byte("numpy\n-e .\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"--pip A --pip B":     {"--pip", "numpy pandas"},
		"--pip takes":         {"--pip=-r x"},
		"is a repository":     {"--pip", "git+https://host/x.git"},
		"r.txt:2: -e: only":   {"--pip", "numpy", "--requirements", file},
		"can't be read":       {"--requirements", filepath.Join(dir, "missing")},
		"--index-url: this":   {"--index-url", "host", "--pip", "x"},
		"can't be looked for": {"--find-links", filepath.Join(dir, "missing"), "--pip", "x"},
	} {
		args = append([]string{"image", "build", "--data-dir", filepath.Join(dir, "data"), "--python", "/nonexistent"}, args...)
		stdout, stderr, code := tcid("", args...)
		if stdout != "" || !strings.Contains(stderr, want) || !strings.HasPrefix(stderr, "tcid: ") || code != exitUsage {
			t.Errorf("%q: %q, %q, %d; want %q", args, stdout, stderr, code, want)
		}
	}
}

func TestProgressWithoutATerminal(t *testing.T) {
	var out strings.Builder
	p := startProgress(&out)
	p.line("one")
	p.say("not shown")
	p.line("two \x1b[2J")
	p.end()
	if out.String() != "one\ntwo  [2J\n" {
		t.Errorf("%q", out.String())
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var out strings.Builder
	p := &progress{out: &out, width: func() int { return 20 }, stop: make(chan struct{})}
	p.line("one")
	p.say("Downloading \x1bsomething long")
	p.since = p.since.Add(-3 * time.Second)
	p.line("two")
	p.end()
	want := clearLine + "one" + clearLine + "one: Downloading  s" + clearLine + "one (3s)\n" + clearLine + "two" + clearLine + "two\n"
	if out.String() != want {
		t.Errorf("%q\nwant %q", out.String(), want)
	}
	for _, line := range regexp.MustCompile(`\n|`+regexp.QuoteMeta(clearLine)).Split(out.String(), -1) {
		if len(line) >= 20 {
			t.Errorf("%q would wrap", line)
		}
	}
}
