package mcp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

const (
	defaultSession = "default"
	maxName        = 64
	maxSessions    = 16 // of one connection
	// A session ends so long after its connection has stopped to renew its lease.
	lease      = 3 * time.Minute
	leaseRenew = 45 * time.Second
	// idleTimeout ends a session that no call has used for so long.
	idleTimeout = time.Hour
	callTimeout = 20 * time.Second // of a small call to the daemon
)

// nameLabel is the label by which a session's name is told to the daemon's
// administrator.
const nameLabel = "mcp_session"

// sessions are those of one connection, by the names that the model gave them.
type sessions struct {
	daemon Daemon
	spec   v1.SessionSpec

	mu   sync.Mutex
	of   map[string]*session
	over bool
}

// session is one of them. Who holds turn may run code in it, and make it.
type session struct {
	name string
	turn chan struct{}

	mu      sync.Mutex
	id      string // of the daemon's session; empty: it isn't made
	created time.Time
	used    time.Time
	runs    int
	users   int // calls that use it or wait for their turn
}

func newSessions(d Daemon, spec v1.SessionSpec) *sessions {
	return &sessions{daemon: d, spec: spec, of: map[string]*session{}}
}

// named finds a session by its name, or adds one. release must be called.
func (s *sessions) named(name string, add bool) (found *session, release func(), err error) {
	if name == "" {
		name = defaultSession
	}
	if !isName(name) {
		return nil, nil, toolError("%q is no name of a session: use up to 64 letters, digits, dots, dashes and underscores, such as \"analysis-1\"", clip(name))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found = s.of[name]
	switch {
	case s.over:
		return nil, nil, errEnded
	case found == nil && !add:
		return nil, nil, toolError("there is no session %q; %s", name, s.listLocked())
	case found == nil && len(s.of) >= maxSessions:
		return nil, nil, toolError("there are %d sessions, which is the most: use one of them, or remove one by reset_session with keep_files false. %s", maxSessions, s.listLocked())
	case found == nil:
		found = &session{name: name, turn: make(chan struct{}, 1), used: time.Now()}
		s.of[name] = found
	}
	found.use(1)
	return found, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		found.use(-1)
		// A name that nothing stands behind is not kept.
		if id, users := found.state(); id == "" && users == 0 && s.of[name] == found {
			delete(s.of, name)
		}
	}, nil
}

// isName takes what is short and the same in a URI as in a sentence.
func isName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

func (s *sessions) listLocked() string {
	if len(s.of) == 0 {
		return "there are none yet: run_python makes one on first use"
	}
	return fmt.Sprintf("there are: %q", slices.Sorted(maps.Keys(s.of)))
}

func (s *sessions) all() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.of), func(a, b *session) int { return a.begun().Compare(b.begun()) })
}

func (one *session) use(n int) {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.users += n
	one.used = time.Now()
}

func (one *session) state() (id string, users int) {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.id, one.users
}

func (one *session) begun() time.Time {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.created
}

// take waits for the turn. give ends it.
func (one *session) take(ctx context.Context) error {
	select {
	case one.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (one *session) give() { <-one.turn }

// open makes the daemon's session unless there is one. The caller has the turn.
func (s *sessions) open(ctx context.Context, one *session) (id string, err error) {
	if id, _ := one.state(); id != "" {
		return id, nil
	}
	spec := s.spec
	seconds := lease.Seconds()
	spec.IdleTimeout = &seconds
	spec.Metadata = map[string]string{nameLabel: one.name}
	maps.Copy(spec.Metadata, s.spec.Metadata)
	made, err := s.daemon.CreateSession(ctx, spec)
	if err != nil {
		return "", fmt.Errorf("make a session: %w", err)
	}
	one.mu.Lock()
	one.id, one.created, one.runs = made.ID, time.Now(), 0
	one.mu.Unlock()
	return made.ID, nil
}

// lose forgets the daemon's session of that id, which has ended, and says what
// that means.
func (one *session) lose(id string, why error) error {
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.id == id { // else another call has noticed it, and maybe made a new one
		one.id = ""
	}
	return toolError("session %q has ended (%v): its variables and files are lost, and nothing was run. "+
		"The next run_python or upload_file makes a new, empty session of that name: upload files again, and repeat imports and definitions first", one.name, why)
}

// ran counts a run, and tells whether the daemon's session in which it was is
// gone by now: since it has ended, or was removed meanwhile.
func (one *session) ran(id string, ended bool) (lost bool) {
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.id != id {
		return true
	}
	one.runs++
	if ended {
		one.id = ""
	}
	return ended
}

// remove closes the daemon's session. The name is free then.
func (s *sessions) remove(ctx context.Context, one *session) error {
	one.mu.Lock()
	id := one.id
	one.id = ""
	one.mu.Unlock()
	if id == "" {
		return nil
	}
	return s.daemon.CloseSession(ctx, id)
}

// renew keeps the leases until ctx ends, and closes what nobody uses.
func (s *sessions) renew(ctx context.Context) {
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		var each sync.WaitGroup
		for _, one := range s.all() {
			each.Go(func() { s.renewOne(ctx, one) })
		}
		each.Wait()
	}
}

func (s *sessions) renewOne(ctx context.Context, one *session) {
	one.mu.Lock()
	id, idle := one.id, one.users == 0 && time.Since(one.used) > idleTimeout
	one.mu.Unlock()
	if id == "" || idle {
		return // an idle one ends with its lease
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	seconds := lease.Seconds()
	// One that has ended is noticed by the next call, which tells the model.
	_, _ = s.daemon.PatchSession(ctx, id, v1.SessionPatch{IdleTimeout: &seconds})
}

// close closes all sessions; no more can be made.
func (s *sessions) close(ctx context.Context) error {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	var mu sync.Mutex
	var errs []error
	var each sync.WaitGroup
	for _, one := range s.all() {
		each.Go(func() {
			if err := s.remove(ctx, one); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("close session %q: %w", one.name, err))
			}
		})
	}
	each.Wait()
	return errors.Join(errs...)
}

// gone tells whether a call failed since the session has ended.
func gone(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Code == "session_not_found"
}
