package session

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tcid/sandbox/kernel"
)

// Whatever comes and whoever reads from where: numbers are without gaps, what is
// missing is told, what is kept is bounded and the latest.
func TestEventLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const text, data = 1000, 500
		l := newEventLog(text, data)
		var all []Event
		kept := int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			e := Event{Type: typeStdout, Text: strings.Repeat("x", rapid.IntRange(0, 400).Draw(t, "text"))}
			if rapid.Bool().Draw(t, "display") {
				data := map[string]any{"t": strings.Repeat("y", rapid.IntRange(0, 200).Draw(t, "data"))}
				e = Event{Type: typeDisplay, Detail: &Detail{Data: data}}
			}
			kept += l.append(e)
			e.Seq = int64(len(all) + 1)
			all = append(all, e)
			if size := sizeOf(l); kept != size {
				t.Fatalf("%d bytes are counted, %d kept", kept, size)
			}
		}
		texts, datas := int64(0), int64(0)
		for i := range l.kept {
			a, b := l.kept[i].costs()
			texts, datas = texts+a, datas+b
		}
		if len(l.kept) > 1 && (texts > text || datas > data) || len(l.kept) == 0 {
			t.Fatalf("%d events with %d and %d bytes are kept", len(l.kept), texts, datas)
		}
		after := int64(rapid.IntRange(0, len(all)).Draw(t, "after"))
		for first := true; after < int64(len(all)); first = false {
			found := l.after(after)
			if len(found) == 0 {
				t.Fatalf("nothing after %d of %d", after, len(all))
			}
			for _, e := range found {
				if e.Type == typeTruncated {
					if !first || e.Detail.Missing != e.Seq-after {
						t.Fatalf("after %d: %+v", after, e)
					}
				} else if e.Seq != after+1 || e.Text != all[after].Text {
					t.Fatalf("after %d comes %d", after, e.Seq)
				}
				after = e.Seq
				first = false
			}
		}
		if len(l.after(after)) != 0 {
			t.Fatal("something comes after the last")
		}
	})
}

// sizeOf adds up what is kept.
func sizeOf(l *eventLog) (n int64) {
	for i := range l.kept {
		text, data := l.kept[i].costs()
		n += text + data + entryCost
	}
	return n
}

func TestEventLogWakesItsReaders(t *testing.T) {
	l := newEventLog(10, 10)
	one, two := l.wait(), l.wait()
	l.append(Event{Type: typeStarted})
	<-one
	<-two
	select {
	case <-l.wait():
		t.Error("a reader was woken for nothing")
	default:
	}
}

func TestHeld(t *testing.T) {
	h := newHeld(100)
	a, b := Principal{ID: "a"}, Principal{ID: "b"}
	if !h.take(a, 60) || h.take(a, 41) || !h.take(b, 100) || h.full(a) || !h.full(b) {
		t.Errorf("%v", h.bytes)
	}
	h.force(a, 50)
	if !h.full(a) {
		t.Error("what is forced does not count")
	}
	h.force(a, -110)
	h.take(b, -100)
	if len(h.bytes) != 0 {
		t.Errorf("%v is left", h.bytes)
	}
}

// A collector counts exactly what it keeps, whatever is refused.
func TestCollectorCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, p := newHeld(2000), Principal{ID: "p"}
		c := newCollector(800, 300)
		c.take = func(n int64) bool { return h.take(p, n) }
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				c.add(text(typeStdout, rapid.StringN(0, 200, 400).Draw(t, "text")))
			case 1:
				c.add(text(typeStderr, strings.Repeat("e", rapid.IntRange(0, 500).Draw(t, "length"))))
			default:
				d := kernel.Event{Type: typeDisplay, Data: map[string]any{"text/plain": strings.Repeat("d", rapid.IntRange(0, 350).Draw(t, "size"))}}
				d.DisplayID = rapid.SampledFrom([]string{"", "one", "two"}).Draw(t, "id")
				if rapid.Bool().Draw(t, "update") {
					d.Type = typeUpdateDisplay
				}
				c.add(d)
			}
			kept := c.shown
			for _, items := range [][]*item{c.head, c.tail} {
				for _, it := range items {
					kept += int64(it.text.Len())
				}
			}
			if kept != c.charged || kept != h.bytes[p.ID] {
				t.Fatalf("%d bytes are kept, %d charged, %d held", kept, c.charged, h.bytes[p.ID])
			}
		}
	})
}
