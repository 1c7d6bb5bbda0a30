package session

import "sync"

// held counts the bytes of output and events that are kept for each principal's
// executions under way. What has finished the history counts, and, while somebody
// reads it, held does too.
type held struct {
	most int64 // of one principal

	mu    sync.Mutex
	bytes map[string]int64 // by principal
}

func newHeld(most int64) *held { return &held{most: most, bytes: map[string]int64{}} }

// take counts n bytes more, unless they are too many.
func (h *held) take(p Principal, n int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n > 0 && h.bytes[p.ID]+n > h.most {
		return false
	}
	h.addLocked(p, n)
	return true
}

// force counts n bytes more, or, when n is negative, less.
func (h *held) force(p Principal, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addLocked(p, n)
}

func (h *held) addLocked(p Principal, n int64) {
	if h.bytes[p.ID] += n; h.bytes[p.ID] <= 0 {
		delete(h.bytes, p.ID)
	}
}

// full tells whether a principal has as much as it may.
func (h *held) full(p Principal) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes[p.ID] >= h.most
}
