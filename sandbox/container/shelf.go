package container

import (
	"time"

	"tcid/sandbox"
)

const (
	// demandWindow is how far back the pool looks to see what will be wanted.
	demandWindow = 10 * time.Second
	// poolIdle is how long something stays prepared though nobody wants it.
	poolIdle = 2 * time.Minute
	// poolKinds is for how many kinds, at most, as many are ready as may be for one.
	poolKinds = 4
)

// key says which sandboxes can stand in for each other. Those of a principal have
// been used by it.
type key struct {
	digest    string
	limits    sandbox.Limits
	principal string
}

// shelf holds what is prepared for one key.
type shelf struct {
	ready   []*box
	coming  int       // being prepared
	used    int       // by a one-shot, after which it comes back
	came    time.Time // when one last did, or could be had otherwise
	waiters []chan *box
	takes   []time.Time // within the window, the oldest first
	last    time.Time   // when one was last wanted
	sample  sandbox.Spec
}

func keyOf(spec sandbox.Spec, principal string) key {
	return key{spec.Image.Digest, spec.Limits, principal}
}

func (p *pool) shelf(k key, spec sandbox.Spec) *shelf {
	s := p.shelves[k]
	if s == nil {
		s = &shelf{sample: sandbox.Spec{Image: spec.Image, Start: spec.Start, Limits: spec.Limits}}
		p.shelves[k] = s
	}
	return s
}

// keepReady puts a sandbox on its shelf, and returns the one that has to go for it.
// Kinds are without number, since callers choose the limits; those that are wanted
// least give way. The caller holds the lock.
func (p *pool) keepReady(s *shelf, x *box) (gone *box) {
	if p.ready() >= p.most*poolKinds {
		least := p.leastWanted()
		if !least.wantedLess(s) {
			return x
		}
		gone, least.ready = least.ready[0], least.ready[1:] // the oldest
	}
	s.ready = append(s.ready, x)
	return gone
}

// ready is how many are, of all kinds. The caller holds the lock.
func (p *pool) ready() (n int) {
	for _, s := range p.shelves {
		n += len(s.ready)
	}
	return n
}

// leastWanted is the shelf whose sandboxes are, of those that have any ready. The
// caller holds the lock.
func (p *pool) leastWanted() (least *shelf) {
	for _, s := range p.shelves {
		if len(s.ready) > 0 && (least == nil || s.wantedLess(least)) {
			least = s
		}
	}
	return least
}

func (s *shelf) wantedLess(t *shelf) bool {
	if len(s.takes) != len(t.takes) {
		return len(s.takes) < len(t.takes)
	}
	return s.last.Before(t.last)
}

// giveUp tells the last who wait that there is nothing left to wait for. The caller
// holds the lock.
func (s *shelf) giveUp() {
	for len(s.waiters) > s.coming+s.used {
		last := len(s.waiters) - 1
		s.waiters[last] <- nil
		s.waiters = s.waiters[:last]
	}
}

// wanted is how many should be ready: as many as were taken in a second or so
// lately, one at least. The caller holds the lock.
func (p *pool) wanted(s *shelf) int {
	now := time.Now()
	for len(s.takes) > 0 && now.Sub(s.takes[0]) > demandWindow {
		s.takes = s.takes[1:]
	}
	if now.Sub(s.last) > poolIdle {
		return 0
	}
	perSecond := len(s.takes) * int(time.Second) / int(demandWindow)
	return min(p.most, 1+perSecond)
}
