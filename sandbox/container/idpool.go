package container

import (
	"fmt"
	"sync"

	"tcid/sandbox"
)

// Ids inside a user namespace that several sessions share: the zygote is 0, a
// session takes two, its kernel's and its init's, and those below are nobody's.
const (
	firstSessionID = 1000
	lastSessionID  = 65533
)

// minFreed is how many pairs wait before the first of them is used again.
const minFreed = 256

// idPool hands out pairs of ids. The pair that was given back longest ago comes
// first, so that what might be left of a session has the most time to be seen.
type idPool struct {
	mu    sync.Mutex
	next  uint32   // the first of those never used
	freed []uint32 // the oldest first
	used  int
}

func newIDPool() *idPool { return &idPool{next: firstSessionID} }

// acquire returns a kernel's id; the init's is the next one.
func (p *idPool) acquire() (uint32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := p.next
	switch {
	case id < lastSessionID && len(p.freed) < minFreed:
		p.next += 2
	case len(p.freed) > 0:
		id, p.freed = p.freed[0], p.freed[1:]
	default:
		return 0, fmt.Errorf("%w: all %d pairs of ids of an image are in use", sandbox.ErrExhausted, p.used)
	}
	p.used++
	return id, nil
}

// release gives a pair back: nothing that has these ids may be left.
func (p *idPool) release(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freed = append(p.freed, id)
	p.used--
}

// inUse counts the pairs that are out.
func (p *idPool) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}
