package session

import (
	"container/list"
	"sync"
)

// history finds executions by id. Finished ones stay for a while, bounded in
// number per session and in bytes over all; the oldest go first.
type history struct {
	perSession int
	maxBytes   int64

	mu        sync.Mutex
	byID      map[string]*Execution
	finished  *list.List                 // of finished, the oldest first
	bySession map[string][]*list.Element // the same, per session
	bytes     int64
}

type finished struct {
	e    *Execution
	size int64
}

func newHistory(perSession int, maxBytes int64) *history {
	return &history{
		perSession: perSession, maxBytes: maxBytes,
		byID: map[string]*Execution{}, finished: list.New(), bySession: map[string][]*list.Element{},
	}
}

// track makes an unfinished execution findable.
func (h *history) track(e *Execution) {
	h.mu.Lock()
	h.byID[e.id] = e
	h.mu.Unlock()
}

func (h *history) get(id string) (*Execution, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.byID[id]
	return e, ok
}

// ofSession lists a session's executions that are still known.
func (h *history) ofSession(id string) []*Execution {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []*Execution
	for _, e := range h.byID {
		if e.sessionID == id {
			found = append(found, e)
		}
	}
	return found
}

// add counts a finished execution and drops the oldest ones that are too many.
func (h *history) add(e *Execution, size int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := e.sessionID
	h.bySession[id] = append(h.bySession[id], h.finished.PushBack(finished{e, size}))
	h.bytes += size
	if own := h.bySession[id]; len(own) > h.perSession {
		h.remove(own[0])
	}
	for h.bytes > h.maxBytes && h.finished.Len() > 1 {
		h.remove(h.finished.Front())
	}
}

// remove drops a finished execution, which is always its session's oldest.
func (h *history) remove(el *list.Element) {
	f := h.finished.Remove(el).(finished)
	delete(h.byID, f.e.id)
	h.bytes -= f.size
	id := f.e.sessionID
	if own := h.bySession[id][1:]; len(own) > 0 {
		h.bySession[id] = own
	} else {
		delete(h.bySession, id)
	}
}
