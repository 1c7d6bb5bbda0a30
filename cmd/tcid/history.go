package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxHistory = 1000    // lines that are remembered
	maxRecall  = 4 << 10 // bytes of a line that is
	maxFile    = 4 << 20 // bytes of the file that are read
)

// history are the lines that were typed, the newest last, also those of earlier
// times. The file belongs to the user alone: it may hold what others must not
// see. A nil history remembers nothing.
type history struct {
	lines []string
	file  *os.File
}

// historyPath is where the user's lines are; "" where nothing says so.
func historyPath() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) { // the specification: to be ignored
		home, err := os.UserHomeDir()
		if err != nil || !filepath.IsAbs(home) {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "tcid", "history")
}

// openHistory reads the user's lines and goes on to write them. On an error
// there is a history all the same, which lasts as long as the program.
func openHistory() (*history, error) {
	h := &history{}
	path := historyPath()
	if path == "" {
		return h, errors.New("neither XDG_STATE_HOME nor HOME names a directory")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return h, err
	}
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	content = content[max(0, len(content)-maxFile):]
	for line := range strings.Lines(string(content)) {
		h.remember(strings.TrimRight(line, "\r\n"))
	}
	if written := bytes.Count(content, []byte{'\n'}); written > 2*maxHistory {
		if err := h.rewrite(path); err != nil {
			return h, err
		}
	}
	if h.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return h, err
	}
	return h, h.file.Chmod(0o600)
}

// rewrite leaves the newest lines in the file.
func (h *history) rewrite(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".history-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(strings.Join(h.lines, "\n") + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("shorten the history: %w", err)
	}
	return os.Rename(f.Name(), path)
}

func (h *history) remember(line string) bool {
	if strings.TrimSpace(line) == "" || len(line) > maxRecall || !utf8.ValidString(line) ||
		len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return false
	}
	h.lines = append(h.lines, line)
	if more := len(h.lines) - maxHistory; more > 0 {
		h.lines = slices.Delete(h.lines, 0, more)
	}
	return true
}

// Add remembers a line, unless it is blank or the same as the last one.
func (h *history) Add(line string) {
	if h.remember(line) && h.file != nil {
		_, _ = h.file.WriteString(line + "\n") // a full disk must not end the conversation
	}
}

// Len is the number of lines.
func (h *history) Len() int { return len(h.lines) }

// At is the line before which n others were typed later.
func (h *history) At(n int) string { return h.lines[len(h.lines)-1-n] }

func (h *history) close() {
	if h.file != nil {
		h.file.Close()
	}
}
