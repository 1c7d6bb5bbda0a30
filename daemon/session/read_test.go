package session

import (
	"strings"
	"testing"

	"go.uber.org/zap"
)

func reading(t *testing.T, most int64) (*Manager, *Execution) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.HeldPerPrincipal = most
	m := NewManager(cfg, nil, nil, zap.NewNop())
	s := &Session{id: "s", manager: m, principal: Principal{ID: "p"}}
	e := newExecution(s, ExecSpec{MaxOutputBytes: 10_000}, 1)
	m.history.track(e)
	return m, e
}

// Each reader of a running execution has a copy of its output; they are bounded.
func TestReadersOfARunningExecution(t *testing.T) {
	m, e := reading(t, 20_000)
	e.collect(text(typeStdout, strings.Repeat("x", 2000)))
	before := m.held.bytes["p"]
	var release []func()
	for {
		r, done, err := e.Read()
		if err != nil {
			break
		}
		if len(r.Stdout) != 2000 || len(release) > 10 {
			t.Fatalf("%d bytes for reader %d", len(r.Stdout), len(release))
		}
		release = append(release, done)
	}
	if len(release) < 2 {
		t.Errorf("only %d may read", len(release))
	}
	for _, done := range release {
		done()
	}
	if left := m.held.bytes["p"]; left != before {
		t.Errorf("%d bytes are held after all have read, %d before", left, before)
	}
}

// A final result counts once while somebody listens or reads, whoever goes last.
func TestReadersOfAFinishedExecution(t *testing.T) {
	m, e := reading(t, 20_000)
	leave := e.Listen()
	e.collect(text(typeStdout, strings.Repeat("x", 2000)))
	e.finish(statusOK, nil, Receipt{})
	want := m.held.bytes["p"]
	if want < 4000 {
		t.Errorf("%d bytes are held of a result of 2000 with its events", want)
	}
	_, release, err := e.Read()
	if err != nil || m.held.bytes["p"] != want {
		t.Errorf("%d bytes are held for two, %d for one: %v", m.held.bytes["p"], want, err)
	}
	leave()
	if m.held.bytes["p"] != want {
		t.Errorf("%d bytes are held while one reads", m.held.bytes["p"])
	}
	release()
	if len(m.held.bytes) != 0 {
		t.Errorf("%v is held when nobody reads", m.held.bytes)
	}
	e.Listen()()
	if len(m.held.bytes) != 0 {
		t.Errorf("%v is held after one more", m.held.bytes)
	}
}

// Events make room for each other where a principal has as much as it may, but
// the newest stays.
func TestEventsOfAFullPrincipal(t *testing.T) {
	m, e := reading(t, 5000)
	m.held.force(e.principal, 4000)
	for range 20 {
		e.collect(text(typeStdout, strings.Repeat("x", 300)))
	}
	if n := len(e.log.kept); n > 2 || n == 0 || e.log.next != 21 {
		t.Errorf("%d events are kept, the next is %d", n, e.log.next)
	}
	events, _, _, err := e.Events(0)
	if err != nil || events[0].Type != typeTruncated || events[len(events)-1].Seq != 20 {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestEventsUnderWayAreBounded(t *testing.T) {
	_, e := reading(t, 5000)
	e.sending = newHeld(1000)
	events := []Event{{Text: strings.Repeat("x", 500)}}
	sent, ok := e.Sending(events)
	if !ok {
		t.Fatal("the first is refused")
	}
	if _, ok := e.Sending(events); ok {
		t.Error("the second is not refused")
	}
	if sent(); len(e.sending.bytes) != 0 {
		t.Errorf("%v is left", e.sending.bytes)
	}
}
