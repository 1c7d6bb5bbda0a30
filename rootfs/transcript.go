package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
)

// ErrNoIndex is wrapped when packages could not be installed as no package index
// answered.
var ErrNoIndex = errors.New("no package index can be reached")

const (
	mostLineBytes = 400 // of one line in an error; pip lists every version there is
	mostLines     = 8
	linesKept     = 40
)

// transcript is what an installer writes: the lines that tell what it is at, and
// the last ones.
type transcript struct {
	detail  func(text string)
	partial []byte
	lines   []string
	// unreachable tells of a failed connection, after which all may go well;
	// answered of an index that knew versions.
	unreachable, answered bool
	refused               bool // something would have had to be built
}

// begins are how lines begin that show progress.
var begins = []string{"Collecting ", "Downloading ", "Using cached ", "Processing ", "Installing ", "Downloaded ", "Resolved ", "Prepared "}

// broken are signs of an index that can't be reached, in small letters.
var broken = []string{
	// pip, some of them only in its log
	"connection broken by", "max retries exceeded", ": connection error: ", "confirming the ssl certificate", " server error: ",
	"newconnectionerror", "timeouterror", "proxyerror",
	// uv
	"client error (connect)", "error sending request", "operation timed out", "dns error", "status server error (5",
	"network connectivity is disabled",
}

var someVersions = pattern(`\(from versions: [^n)]`)

func (t *transcript) Write(p []byte) (int, error) {
	t.partial = append(t.partial, p...)
	for {
		line, rest, found := bytes.Cut(t.partial, []byte("\n"))
		if !found {
			break
		}
		t.line(string(line))
		t.partial = rest
	}
	if len(t.partial) > linesKept*mostLineBytes { // not a line for people
		t.line(string(t.partial))
		t.partial = nil
	}
	return len(p), nil
}

func (t *transcript) line(text string) {
	// A package's name must not move the terminal's cursor.
	text = strings.TrimRightFunc(strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, text), unicode.IsSpace)
	if text == "" {
		return
	}
	lower := strings.ToLower(text)
	t.unreachable = t.unreachable || slices.ContainsFunc(broken, func(sign string) bool { return strings.Contains(lower, sign) })
	t.answered = t.answered || someVersions().MatchString(text)
	t.refused = t.refused || strings.Contains(lower, "would run the package's code") || strings.Contains(lower, "building from source is disabled")
	if len(text) > mostLineBytes {
		text = strings.ToValidUTF8(text[:mostLineBytes], "") + "…"
	}
	if t.lines = append(t.lines, text); len(t.lines) > linesKept {
		t.lines = t.lines[1:]
	}
	shown, _, _ := strings.Cut(strings.TrimSpace(text), " (from ") // who needs it, which is long
	if slices.ContainsFunc(begins, func(b string) bool { return strings.HasPrefix(shown, b) }) {
		t.detail(shown)
	}
}

// failure is the error of an installer that ended with err. pip's log has more
// in it than what it writes.
func (t *transcript) failure(name, logFile string, want requirements, err error) error {
	t.line(string(t.partial))
	text := strings.Join(t.meaning(), "\n")
	t.readLog(logFile)
	if text == "" {
		text = err.Error()
	}
	switch lower := strings.ToLower(text); {
	case t.unreachable && !t.answered && !want.noIndex:
		return fmt.Errorf("%w: check the network and the proxy, or name a mirror with --index-url, or wheels that are here with --no-index --find-links DIR; %s said:\n%s",
			ErrNoIndex, name, text)
	case strings.Contains(lower, "no space left"):
		return fmt.Errorf("install packages: the disk is full; make room in the data directory (and in %s's cache); %s said:\n%s", name, name, text)
	case t.refused:
		return fmt.Errorf("install packages: %s; %s said:\n%s", howToBuild, name, text)
	case strings.Contains(lower, "no matching distribution"), strings.Contains(lower, "no solution found"):
		return fmt.Errorf("install packages: no wheel fits, and only wheels are installed; check the names and versions, and whether there are wheels for this Python; %s said:\n%s", name, text)
	}
	return fmt.Errorf("install packages with %s: %w:\n%s", name, err, text)
}

// readLog looks for signs of a broken connection.
func (t *transcript) readLog(path string) {
	f, err := os.Open(path)
	if err != nil {
		return // uv writes none
	}
	defer f.Close()
	log := &transcript{detail: func(string) {}}
	if _, err := io.Copy(log, f); err == nil {
		t.unreachable = t.unreachable || log.unreachable
	}
}

// meaning is the end of the output from where the error begins.
func (t *transcript) meaning() []string {
	start := slices.IndexFunc(t.lines, func(l string) bool {
		l = strings.TrimSpace(l)
		return strings.HasPrefix(l, "ERROR:") || strings.HasPrefix(l, "error:") || strings.HasPrefix(l, "×")
	})
	if start < 0 || strings.HasPrefix(t.lines[min(start+1, len(t.lines)-1)], "Traceback") {
		return t.lines[max(0, len(t.lines)-mostLines):]
	}
	return t.lines[start:min(len(t.lines), start+mostLines)]
}
