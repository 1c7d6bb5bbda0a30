package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// screen is a terminal that output goes to. It knows what was written to it since
// it was made, so that this can be taken back. Text that moves the cursor
// about ends that: nothing is taken back that could be somebody else's.
type screen struct {
	out  io.Writer
	size func() (columns, rows int)

	row, column int // of the cursor, from where it was at first
	escape      int // where in an escape sequence the text is
	lost        bool
}

const (
	defaultHeight = 24
	tabWidth      = 8
)

// places in an escape sequence
const (
	noEscape = iota
	afterEscape
	inSequence
)

// newScreen returns the terminal behind w; nil where there is none.
func newScreen(w io.Writer) *screen {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) {
		return nil
	}
	return &screen{out: f, size: func() (int, int) { return terminalSize(f) }}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func terminalSize(f *os.File) (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return defaultWidth, defaultHeight
	}
	return int(size.Col), int(size.Row)
}

// saw follows text that was written to the terminal.
func (s *screen) saw(text string) {
	columns, _ := s.size()
	for _, c := range text {
		s.follow(c, columns)
	}
}

func (s *screen) follow(c rune, columns int) {
	switch {
	case s.escape == afterEscape && c == '[':
		s.escape = inSequence
	case s.escape == afterEscape:
		s.escape, s.lost = noEscape, true
	case s.escape == inSequence && c >= '@' && c <= '~':
		s.escape = noEscape
		s.lost = s.lost || c != 'm' // a colour
	case s.escape == inSequence:
	case c == '\x1b':
		s.escape = afterEscape
	case c == '\n':
		s.row, s.column = s.row+1, 0
	case c == '\r':
		s.column = 0
	case c == '\b':
		s.column = max(0, s.column-1)
	case c == '\t':
		s.column = min(columns-1, (s.column/tabWidth+1)*tabWidth)
	case c < ' ':
	default:
		if s.column >= columns {
			s.row, s.column = s.row+1, 0
		}
		s.column++
	}
}

// back takes back what was written since the cursor was in the given row, if
// that can still be done.
func (s *screen) back(row int) error {
	_, rows := s.size()
	if s.lost || s.row-row >= rows {
		return nil
	}
	up := ""
	if s.row > row {
		up = fmt.Sprintf("\x1b[%dA", s.row-row)
	}
	s.row, s.column = row, 0
	_, err := fmt.Fprint(s.out, "\r", up, "\x1b[J")
	return err
}
