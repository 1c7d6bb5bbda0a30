package session

import (
	"fmt"
	"testing"
)

func remembered(h *history, session string, index int, size int64) *Execution {
	e := &Execution{id: fmt.Sprintf("%s-%d", session, index), sessionID: session, size: size}
	h.track(e)
	h.add(e)
	return e
}

func TestHistoryIsBoundedPerSession(t *testing.T) {
	h := newHistory(3, 1<<20, 1<<20)
	const a, b = "a", "b"
	other := remembered(h, b, 1, 1)
	for i := range 10 {
		remembered(h, a, i, 1)
	}
	if n := len(h.ofSession("a")); n != 3 {
		t.Errorf("%d executions of a are known, want 3", n)
	}
	if _, ok := h.get("a-9"); !ok {
		t.Error("the newest execution is forgotten")
	}
	if _, ok := h.get("a-6"); ok {
		t.Error("an old execution is still known")
	}
	if _, ok := h.get(other.id); !ok {
		t.Error("another session's execution was dropped")
	}
}

func TestHistoryIsBoundedInBytes(t *testing.T) {
	h := newHistory(100, 1000, 1000)
	const a, b = "a", "b"
	for i := range 10 {
		remembered(h, a, i, 150)
		remembered(h, b, i, 150)
	}
	if h.all.bytes > 1000 {
		t.Errorf("%d bytes are kept, want at most 1000", h.all.bytes)
	}
	running := &Execution{id: "running", sessionID: a}
	h.track(running)
	huge := remembered(h, a, 99, 5000)
	if _, ok := h.get(huge.id); !ok {
		t.Error("the newest execution is forgotten, although nobody could have read it")
	}
	if _, ok := h.get("running"); !ok {
		t.Error("a running execution is forgotten")
	}
}

func TestHistoryIsBoundedPerPrincipal(t *testing.T) {
	h := newHistory(100, 500, 10_000)
	of := func(who string, index int) *Execution {
		e := &Execution{id: fmt.Sprintf("%s-%d", who, index), sessionID: "of " + who, principal: Principal{ID: who}, size: 100}
		h.track(e)
		h.add(e)
		return e
	}
	quiet := of("quiet", 0)
	for i := range 50 {
		of("loud", i)
	}
	if _, ok := h.get(quiet.id); !ok {
		t.Error("a principal's execution gave way to another's")
	}
	if n := len(h.ofSession("of loud")); n != 5 {
		t.Errorf("%d executions of the other are known, want 5", n)
	}
	if h.all.bytes != 600 || h.all.count != 6 || len(h.byPrincipal) != 2 {
		t.Errorf("%d bytes in %d executions of %d principals", h.all.bytes, h.all.count, len(h.byPrincipal))
	}
}
