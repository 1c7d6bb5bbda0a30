package session

import (
	"strings"
	"testing"
	"unicode/utf8"

	"tcid/sandbox/kernel"
)

// FuzzCollector feeds text in pieces: what is kept stays within its bound, is
// whole UTF-8, and what is kept and what is dropped are all that came.
func FuzzCollector(f *testing.F) {
	f.Add("hello, world", uint8(3), uint16(5))
	f.Add(strings.Repeat("ü€", 500), uint8(7), uint16(64))
	f.Add("\n", uint8(0), uint16(1))
	f.Fuzz(func(t *testing.T, text string, pieces uint8, budget uint16) {
		text = strings.ToValidUTF8(text, "?")
		c := newCollector(int64(budget)+1, 1<<20)
		came := map[string]int{}
		for i, rest := 0, text; rest != ""; i++ {
			n := cutAt(rest, int64(pieces)+4)
			kind := []string{typeStdout, typeStderr}[i%2]
			c.add(kernel.Event{Type: kind, Text: rest[:n]})
			came[kind] += n
			rest = rest[n:]
		}
		kept := map[string]int{}
		for _, items := range [][]*item{c.head, c.tail} {
			for _, it := range items {
				if s := it.text.String(); !utf8.ValidString(s) {
					t.Errorf("a character was split: %q", s)
				} else {
					kept[it.kind] += len(s)
				}
			}
		}
		if total := kept[typeStdout] + kept[typeStderr]; total > int(budget)+1 {
			t.Errorf("%d bytes are kept of a budget of %d", total, int(budget)+1)
		}
		for kind, n := range came {
			if kept[kind]+int(c.dropped[kind]) != n {
				t.Errorf("%s: %d came, %d are kept, %d dropped", kind, n, kept[kind], c.dropped[kind])
			}
		}
	})
}
