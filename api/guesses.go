package api

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Bounds of requests with a wrong key or none, from one place. A key has too many
// possible values for any number of guesses; this keeps a client that goes on and
// on from filling the log, and leaves those alone that try a few keys.
const (
	maxGuesses   = 100
	guessWindow  = time.Minute // from the first one on
	maxGuessFrom = 10_000      // places that are remembered
)

// guesses counts requests with wrong keys by where they come from.
type guesses struct {
	mu    sync.Mutex
	from  map[netip.Prefix]*list.Element
	order *list.List // of *guesser; the oldest window first
}

type guesser struct {
	from  netip.Prefix
	began time.Time
	count int
}

func newGuesses() *guesses {
	return &guesses{from: map[netip.Prefix]*list.Element{}, order: list.New()}
}

// add counts one more. wait is how long requests from there are refused now, if
// they are; first says that it is the first one of a window.
func (g *guesses) add(from netip.Prefix, now time.Time) (wait time.Duration, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for e := g.order.Front(); e != nil; e = g.order.Front() {
		if oldest := e.Value.(*guesser); now.Sub(oldest.began) < guessWindow {
			break
		}
		g.forget(e)
	}
	e, known := g.from[from]
	if !known {
		if len(g.from) >= maxGuessFrom {
			g.forget(g.order.Front())
		}
		g.from[from] = g.order.PushBack(&guesser{from: from, began: now, count: 1})
		return 0, true
	}
	seen := e.Value.(*guesser)
	if seen.count >= maxGuesses {
		return guessWindow - now.Sub(seen.began), false
	}
	seen.count++
	return 0, false
}

func (g *guesses) forget(e *list.Element) {
	delete(g.from, e.Value.(*guesser).from)
	g.order.Remove(e)
}
