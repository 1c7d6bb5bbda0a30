package session

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"tcid/sandbox/kernel"
)

// Many finished executions are remembered, so the daemon's size depends on what
// is kept of each: at most so many bytes beside its text, which is kept once,
// and so many more for every event of text.
const (
	mostKept      = 2 << 10
	mostOfAnEvent = 80
)

func TestKeptOfAFinishedExecution(t *testing.T) {
	for name, texts := range map[string][]string{
		"one line":    {"six times seven\n"},
		"much text":   {strings.Repeat("x", 100_000)},
		"many events": slices.Repeat([]string{strings.Repeat("x", 99) + "\n"}, 200),
	} {
		t.Run(name, func(t *testing.T) {
			size := len(strings.Join(texts, ""))
			most := mostKept + size + size/8 + mostOfAnEvent*len(texts) // allocations are rounded up
			kept := keptOf(t, 1000, texts)
			t.Logf("%d bytes are kept of one with %d bytes of text in %d events", kept, size, len(texts))
			if kept > most {
				t.Errorf("that is more than %d", most)
			}
		})
	}
}

// keptOf has n executions show texts and a result, and returns how many bytes
// each of them takes when it has finished.
func keptOf(t *testing.T, n int, texts []string) int {
	t.Helper()
	m := NewManager(DefaultConfig(), nil, nil, zap.NewNop())
	before := heapBytes()
	for i := range n {
		s := &Session{id: newID(sessionPrefix), manager: m, state: stateReady, principal: Principal{ID: "uid:1000"}}
		e, err := s.Submit(ExecSpec{Code: "print('six times seven')\n6 * 7"})
		if err != nil {
			t.Fatal(err)
		}
		leave := e.Listen()
		e.begin(time.Now())
		for _, line := range texts {
			e.collect(text(typeStdout, strings.Clone(line)))
		}
		answer := fmt.Sprint(i)
		e.collect(kernel.Event{Type: typeResult, Data: map[string]any{"text/plain": answer}})
		e.setOutcome(kernel.Outcome{Status: statusOK, Source: kernel.SourceExpression, Result: []byte(answer), Repr: &answer})
		m.releaseSlot(s.principal)
		e.finish(statusOK, nil, Receipt{})
		leave()
	}
	kept := heapBytes() - before
	runtime.KeepAlive(m)
	return kept / n
}

func heapBytes() int {
	runtime.GC()
	runtime.GC() // what a pool held goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// An execution's end changes nothing of its events, and what is counted for them
// is what they keep beside the result.
func TestSettledEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Session{manager: NewManager(DefaultConfig(), nil, nil, zap.NewNop())}
		e := newExecution(s, ExecSpec{MaxOutputBytes: int64(rapid.IntRange(20, 400).Draw(t, "budget"))}, 1)
		var came []string
		for range rapid.IntRange(0, 30).Draw(t, "events") {
			kind := rapid.SampledFrom([]string{typeStdout, typeStderr, typeDisplay}).Draw(t, "kind")
			piece := rapid.StringOfN(rapid.RuneFrom([]rune("aé\n")), 1, 40, -1).Draw(t, "text")
			if kind == typeDisplay {
				e.collect(kernel.Event{Type: kind, Data: map[string]any{"text/plain": piece}})
				piece = ""
			} else {
				e.collect(text(kind, piece))
			}
			came = append(came, kind+piece)
		}
		before, counted := entered(e.active.out), e.charged
		e.finish(statusOK, nil, Receipt{})
		for _, ev := range e.log.kept[:len(e.log.kept)-1] { // finished is the last
			if got := ev.Type + ev.Text; got != came[ev.Seq-1] {
				t.Fatalf("event %d was %q and became %q", ev.Seq, came[ev.Seq-1], got)
			}
		}
		after := e.Result()
		if after.Stdout != before.Stdout || after.Stderr != before.Stderr {
			t.Fatalf("%q and %q became %q and %q", before.Stdout, before.Stderr, after.Stdout, after.Stderr)
		}
		shown := ""
		for _, o := range after.Outputs {
			if o.Type == typeStdout {
				shown += o.Text
			}
		}
		if shown != after.Stdout {
			t.Fatalf("the items show %q, stdout is %q", shown, after.Stdout)
		}
		if after.DroppedStdout+after.DroppedStderr == 0 && e.charged > counted+entryCost-int64(len(after.Stdout)+len(after.Stderr)) {
			t.Fatalf("%d bytes are counted for the events, %d before, of %q and %q", e.charged, counted, after.Stdout, after.Stderr)
		}
	})
}
