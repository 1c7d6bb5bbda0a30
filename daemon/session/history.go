package session

import "sync"

// history finds executions by id. Finished ones stay for a while, bounded in
// number per session, in bytes per principal and in bytes over all; the oldest
// go first.
type history struct {
	perSession             int
	maxOfPrincipal, maxAll int64

	mu          sync.Mutex
	byID        map[string]*Execution
	all         *group            // of finished
	bySession   map[string]*group // the same, apart
	byPrincipal map[string]*group
}

// Kinds of groups. A finished execution is in one of each.
const (
	inAll = iota
	inSession
	inPrincipals
	kindsOfGroup
)

// group is finished executions, the oldest first. They are linked through their
// places: lists of their own would take as much again as a small result.
type group struct {
	kind           int
	oldest, newest *Execution
	count          int
	bytes          int64
}

// place is where an execution stands in a group.
type place struct{ older, newer *Execution }

func newHistory(perSession int, maxOfPrincipal, maxAll int64) *history {
	return &history{
		perSession: perSession, maxOfPrincipal: maxOfPrincipal, maxAll: maxAll,
		byID: map[string]*Execution{}, all: &group{kind: inAll},
		bySession: map[string]*group{}, byPrincipal: map[string]*group{},
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
// The newest of all stays, however large it is.
func (h *history) add(e *Execution) {
	h.mu.Lock()
	defer h.mu.Unlock()
	own, principals := named(h.bySession, inSession, e.sessionID), named(h.byPrincipal, inPrincipals, e.principal.ID)
	for _, g := range []*group{h.all, own, principals} {
		g.join(e)
	}
	if own.count > h.perSession {
		h.remove(own.oldest)
	}
	for principals.bytes > h.maxOfPrincipal && principals.count > 1 {
		h.remove(principals.oldest)
	}
	for h.all.bytes > h.maxAll && h.all.count > 1 {
		h.remove(h.all.oldest)
	}
}

// remove drops a finished execution.
func (h *history) remove(e *Execution) {
	h.all.leave(e)
	for _, in := range []struct {
		groups map[string]*group
		name   string
	}{{h.bySession, e.sessionID}, {h.byPrincipal, e.principal.ID}} {
		g := in.groups[in.name]
		if g.leave(e); g.count == 0 {
			delete(in.groups, in.name)
		}
	}
	delete(h.byID, e.id)
}

func named(groups map[string]*group, kind int, name string) *group {
	if groups[name] == nil {
		groups[name] = &group{kind: kind}
	}
	return groups[name]
}

func (g *group) join(e *Execution) {
	e.places[g.kind].older = g.newest
	if g.newest == nil {
		g.oldest = e
	} else {
		g.newest.places[g.kind].newer = e
	}
	g.newest = e
	g.count++
	g.bytes += e.size
}

func (g *group) leave(e *Execution) {
	at := e.places[g.kind]
	e.places[g.kind] = place{} // somebody may still hold it, but not those beside it
	if at.older == nil {
		g.oldest = at.newer
	} else {
		at.older.places[g.kind].newer = at.newer
	}
	if at.newer == nil {
		g.newest = at.older
	} else {
		at.newer.places[g.kind].older = at.older
	}
	g.count--
	g.bytes -= e.size
}
