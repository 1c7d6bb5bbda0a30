package container

import (
	"errors"
	"testing"

	"tcid/sandbox"
)

// Pairs don't overlap, are used again oldest first and not at once, and end.
func TestIDPool(t *testing.T) {
	p := newIDPool()
	seen := map[uint32]bool{}
	var order []uint32
	for {
		id, err := p.acquire()
		if errors.Is(err, sandbox.ErrExhausted) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if seen[id] || seen[id+1] || id < firstSessionID || id+1 > lastSessionID {
			t.Fatalf("the pair %d was handed out twice, or is nobody's to hand out", id)
		}
		seen[id], seen[id+1] = true, true
		order = append(order, id)
	}
	if want := (lastSessionID + 1 - firstSessionID) / 2; len(order) != want || p.inUse() != want {
		t.Errorf("%d pairs, %d in use, want %d", len(order), p.inUse(), want)
	}
	p.release(order[7])
	p.release(order[3])
	for _, want := range []uint32{order[7], order[3]} {
		if id, err := p.acquire(); err != nil || id != want {
			t.Errorf("got %d, %v, want %d", id, err, want)
		}
	}
	q := newIDPool()
	first, _ := q.acquire()
	q.release(first)
	if again, _ := q.acquire(); again == first {
		t.Error("a pair was used again at once")
	}
	for range minFreed + 1 {
		id, _ := q.acquire()
		defer q.release(id)
	}
}
