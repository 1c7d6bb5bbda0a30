package session

import (
	"fmt"
	"testing"
)

func remembered(h *history, session string, index int, size int64) *Execution {
	e := &Execution{id: fmt.Sprintf("%s-%d", session, index), sessionID: session, index: int64(index)}
	h.track(e)
	h.add(e, size)
	return e
}

func TestHistoryIsBoundedPerSession(t *testing.T) {
	h := newHistory(3, 1<<20)
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
	h := newHistory(100, 1000)
	const a, b = "a", "b"
	for i := range 10 {
		remembered(h, a, i, 150)
		remembered(h, b, i, 150)
	}
	if h.bytes > 1000 {
		t.Errorf("%d bytes are kept, want at most 1000", h.bytes)
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
