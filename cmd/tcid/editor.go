package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	v1 "tcid/api/v1"
)

var (
	errLineDropped = errors.New("the line was dropped") // by Ctrl-C
	errPasted      = errors.New("the line was pasted")  // and it is all of it
)

// editor reads lines from a terminal, which is in raw mode between begin and end
// only: while code runs, Ctrl-C is a signal.
type editor struct {
	in      *os.File
	out     io.Writer
	repl    *repl
	keys    *keys
	history *history

	mu    sync.Mutex // of lines being another one
	lines *term.Terminal

	ctx   context.Context // of the read under way
	above []string        // the cell's lines before it
}

func newEditor(ctx context.Context, in *os.File, out io.Writer, r *repl) (*editor, error) {
	k, err := newKeys(ctx, in)
	if err != nil {
		return nil, err
	}
	e := &editor{in: in, out: out, repl: r, keys: k}
	if e.history, err = openHistory(); err != nil {
		fmt.Fprintf(r.a.err, "tcid: lines are not remembered: %v\n", err)
	}
	e.renew()
	return e, nil
}

// renew drops the line that is being edited.
func (e *editor) renew() {
	lines := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, e.out}, "")
	lines.History = e.history
	lines.AutoCompleteCallback = e.tab
	e.mu.Lock()
	e.lines = lines
	e.mu.Unlock()
	e.resize()
}

func (e *editor) close() {
	e.keys.close()
	e.history.close()
}

// begin makes the terminal ready for lines; end makes it what it was.
func (e *editor) begin() (end func(), err error) {
	fd := int(e.in.Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		return nil, io.EOF // the terminal is gone
	}
	e.lines.SetBracketedPasteMode(true)
	stop := e.followSize()
	return func() {
		stop()
		e.lines.SetBracketedPasteMode(false)
		_ = term.Restore(fd, old)
	}, nil
}

// read reads a line, which begins with indent. above are the lines of the cell
// before it. The error is errPasted, with the line, when more of a paste may
// follow; errLineDropped; or io.EOF at the end.
func (e *editor) read(ctx context.Context, prompt, indent string, above []string) (string, error) {
	e.ctx, e.above = ctx, above
	e.keys.insert(indent)
	e.lines.SetPrompt(prompt)
	line, err := e.lines.ReadLine()
	switch {
	case errors.Is(err, term.ErrPasteIndicator):
		return line, errPasted
	case e.keys.dropped():
		if _, err := io.WriteString(e.out, "^C\r\n"); err != nil {
			return "", io.EOF
		}
		e.renew()
		return "", errLineDropped
	case err != nil:
		_, _ = io.WriteString(e.out, "\r\n")
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", io.EOF // also where the terminal is gone
	}
	return line, nil
}

// followSize keeps the editor informed of the terminal's size.
func (e *editor) followSize() (stop func()) {
	e.resize()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range resized {
			e.resize()
		}
	}()
	return func() {
		signal.Stop(resized)
		close(resized)
		<-done
	}
}

func (e *editor) resize() {
	columns, rows := terminalSize(e.in)
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.lines.SetSize(columns, rows)
}

const (
	tabKey     = '\t'
	indentUnit = "    "
	maxListed  = 200 // completions that are shown
)

// tab completes the name before the cursor; where there is none, it indents.
func (e *editor) tab(line string, pos int, key rune) (string, int, bool) {
	if key != tabKey {
		return "", 0, false
	}
	if strings.TrimSpace(line[:pos]) == "" {
		return line[:pos] + indentUnit + line[pos:], pos + len(indentUnit), true
	}
	ctx, cancel := context.WithTimeout(e.ctx, askTimeout)
	defer cancel()
	above := strings.Join(append(slices.Clone(e.above), ""), "\n")
	cursor := int64(utf8.RuneCountInString(above) + utf8.RuneCountInString(line[:pos]))
	found, err := e.repl.c.Complete(ctx, e.repl.session, v1.CompleteSpec{Code: above + line, Cursor: &cursor})
	if err != nil {
		e.bell()
		return line, pos, true
	}
	start := int(found.Start) - utf8.RuneCountInString(above)
	head, ok := before(line[:pos], start)
	matches := harmless(found.Matches)
	if !ok || found.End != cursor || len(matches) == 0 {
		e.bell()
		return line, pos, true
	}
	if common := commonPrefix(matches); len(common) > pos-len(head) {
		return head + common + line[pos:], len(head) + len(common), true
	}
	if len(matches) > 1 {
		columns, _ := terminalSize(e.in)
		_, _ = io.WriteString(e.lines, inColumns(matches, columns))
	}
	return line, pos, true
}

func (e *editor) bell() { _, _ = io.WriteString(e.out, "\a") }

// before returns the first n characters of text; false where it has less.
func before(text string, n int) (string, bool) {
	runes := []rune(text)
	if n < 0 || n > len(runes) {
		return "", false
	}
	return string(runes[:n]), true
}

// harmless are the matches that can be shown and typed: they come from the
// session.
func harmless(matches []string) []string {
	return slices.DeleteFunc(slices.Clone(matches), func(m string) bool {
		return m == "" || !utf8.ValidString(m) || strings.ContainsFunc(m, func(c rune) bool { return !unicode.IsPrint(c) })
	})
}

func commonPrefix(all []string) string {
	common := []rune(all[0])
	for _, s := range all[1:] {
		n := 0
		for _, c := range s {
			if n == len(common) || common[n] != c {
				break
			}
			n++
		}
		common = common[:n]
	}
	return string(common)
}

// inColumns lays words out in columns, as ls does.
func inColumns(words []string, width int) string {
	more := len(words) - maxListed
	words = words[:min(len(words), maxListed)]
	widest := 0
	for _, w := range words {
		widest = max(widest, utf8.RuneCountInString(w))
	}
	columns := max(1, width/(widest+2))
	rows := (len(words) + columns - 1) / columns
	var b strings.Builder
	for row := range rows {
		for i := row; i < len(words); i += rows {
			b.WriteString(words[i])
			if i+rows < len(words) {
				b.WriteString(strings.Repeat(" ", widest+2-utf8.RuneCountInString(words[i])))
			}
		}
		b.WriteByte('\n')
	}
	if more > 0 {
		fmt.Fprintf(&b, "… and %d more\n", more)
	}
	return b.String()
}
