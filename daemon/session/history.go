package session

import (
	"container/list"
	"sync"
)

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

// group is finished executions, the oldest first.
type group struct {
	list.List
	bytes int64
}

// finished is an execution with its places in the groups.
type finished struct {
	e                              *Execution
	size                           int64
	inAll, inSession, inPrincipals *list.Element
}

func newHistory(perSession int, maxOfPrincipal, maxAll int64) *history {
	return &history{
		perSession: perSession, maxOfPrincipal: maxOfPrincipal, maxAll: maxAll,
		byID: map[string]*Execution{}, all: &group{},
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
func (h *history) add(e *Execution, size int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := &finished{e: e, size: size}
	own, principals := named(h.bySession, e.sessionID), named(h.byPrincipal, e.principal.ID)
	f.inAll, f.inSession, f.inPrincipals = h.all.join(f), own.join(f), principals.join(f)
	if own.Len() > h.perSession {
		h.remove(own.Front())
	}
	for principals.bytes > h.maxOfPrincipal && principals.Len() > 1 {
		h.remove(principals.Front())
	}
	for h.all.bytes > h.maxAll && h.all.Len() > 1 {
		h.remove(h.all.Front())
	}
}

// remove drops a finished execution.
func (h *history) remove(el *list.Element) {
	f := el.Value.(*finished)
	h.all.leave(f.inAll)
	for _, in := range []struct {
		groups map[string]*group
		name   string
		at     *list.Element
	}{{h.bySession, f.e.sessionID, f.inSession}, {h.byPrincipal, f.e.principal.ID, f.inPrincipals}} {
		g := in.groups[in.name]
		if g.leave(in.at); g.Len() == 0 {
			delete(in.groups, in.name)
		}
	}
	delete(h.byID, f.e.id)
}

func named(groups map[string]*group, name string) *group {
	if groups[name] == nil {
		groups[name] = &group{}
	}
	return groups[name]
}

func (g *group) join(f *finished) *list.Element {
	g.bytes += f.size
	return g.PushBack(f)
}

func (g *group) leave(at *list.Element) {
	g.bytes -= g.Remove(at).(*finished).size
}
