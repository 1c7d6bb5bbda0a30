package mcp

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of what a model gets to read, in bytes unless they say otherwise.
const (
	maxText      = 32 << 10 // what a run showed
	maxStream    = 16 << 10 // stdout or stderr in the structured result
	maxResult    = 8 << 10  // a result's text, or its JSON
	maxTraceback = 8 << 10
	maxClip      = 200 // of what a client sent, in an error
	headParts    = 2   // of three; the rest is the tail's
	lineSlack    = 200 // how far a cut moves to the end of a line
)

// bound keeps head and tail of a text that is longer than most, says between
// them what was left out, and returns how many bytes that are.
func bound(text string, most int) (string, int) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text, 0
	}
	head := text[:most*headParts/3]
	tail := text[len(text)-(most-len(head)):]
	if i := strings.LastIndexByte(head, '\n'); i >= 0 && len(head)-i <= lineSlack {
		head = head[:i+1]
	}
	if i := strings.IndexByte(tail, '\n'); i >= 0 && i <= lineSlack {
		tail = tail[i+1:]
	}
	for len(head) > 0 && !utf8.ValidString(head[max(0, len(head)-utf8.UTFMax):]) {
		r, size := utf8.DecodeLastRuneInString(head)
		if r != utf8.RuneError || size > 1 {
			break
		}
		head = head[:len(head)-1]
	}
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	cut := len(text) - len(head) - len(tail)
	return fmt.Sprintf("%s\n[... %s left out ...]\n%s", strings.TrimSuffix(head, "\n"), plural(cut, "byte"), tail), cut
}

// plural writes a number with its unit.
func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}

// clip shortens what a client sent, to repeat it in an error.
func clip(text string) string {
	if len(text) <= maxClip {
		return text
	}
	return strings.ToValidUTF8(text[:maxClip], "") + "..."
}

// size writes a number of bytes for people.
func size(n int64) string {
	const kib = 1 << 10
	switch {
	case n < kib:
		return fmt.Sprintf("%d bytes", n)
	case n < kib*kib:
		return fmt.Sprintf("%.1f KiB", float64(n)/kib)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(kib*kib))
}
