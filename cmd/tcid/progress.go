package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// progress shows what a long command is at. On a terminal the last line is
// rewritten in place, with how long it takes already; elsewhere there are only
// the lines.
type progress struct {
	out   io.Writer
	width func() int // of the terminal; nil when there is none

	mu     sync.Mutex
	stage  string // the line that is not finished
	detail string
	since  time.Time
	stop   chan struct{}
	done   sync.WaitGroup
}

const (
	redrawEvery  = time.Second
	clearLine    = "\r\x1b[K"
	defaultWidth = 80
)

// startProgress begins; call end before anything else is written to out.
func startProgress(out io.Writer) *progress {
	p := &progress{out: out, stop: make(chan struct{})}
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.width = func() int { return terminalWidth(f) }
		}
	}
	if p.width != nil {
		p.done.Go(p.redraw)
	}
	return p
}

func terminalWidth(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return defaultWidth
	}
	return int(size.Col)
}

func (p *progress) redraw() {
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		}
	}
}

// line begins a stage, which ends the one before it.
func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text = printable(text)
	if p.width == nil {
		fmt.Fprintln(p.out, text)
		return
	}
	p.finish()
	p.stage, p.detail, p.since = text, "", time.Now()
	p.draw()
}

// say shows what the stage is at.
func (p *progress) say(detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.detail = printable(detail)
	p.draw()
}

// end leaves the last stage as a line of its own.
func (p *progress) end() {
	close(p.stop)
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish()
}

func (p *progress) finish() {
	if p.width == nil || p.stage == "" {
		return
	}
	fmt.Fprint(p.out, clearLine, p.stage, p.elapsed(), "\n")
	p.stage = ""
}

func (p *progress) draw() {
	if p.width == nil || p.stage == "" {
		return
	}
	line := []rune(p.stage + p.elapsed())
	if p.detail != "" {
		line = append(line, []rune(": "+p.detail)...)
	}
	// A line that wraps could not be rewritten.
	if most := p.width() - 1; len(line) > most {
		line = line[:max(0, most)]
	}
	fmt.Fprint(p.out, clearLine, string(line))
}

func (p *progress) elapsed() string {
	if took := time.Since(p.since).Truncate(time.Second); took > 0 {
		return fmt.Sprintf(" (%v)", took)
	}
	return ""
}

// printable keeps names that others have given from moving the cursor.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, text)
}
