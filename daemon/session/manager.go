// Package session is the domain: sessions, the executions that run in them,
// their limits, their output and their end. It knows neither HTTP nor
// libcontainer: the API front calls it, and it drives sandboxes through package
// sandbox.
package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"tcid/sandbox"
	"tcid/sandbox/workspace"
)

// Images finds the root file systems of sessions.
type Images interface {
	// Acquire finds an image by name or digest and keeps it from being removed
	// until release is called. An unknown one is an *Error with
	// CodeImageNotFound.
	Acquire(nameOrDigest string) (image sandbox.Image, release func(), err error)
}

// Manager holds all sessions.
type Manager struct {
	cfg     Config
	backend sandbox.Backend
	images  Images
	log     *zap.Logger
	history *history
	held    *held
	sending *held
	free    func() (int64, error) // the host's available memory

	mu       sync.Mutex
	draining bool
	sessions map[string]*Session
	starting sync.WaitGroup
	counts   map[string]int // sessions per principal, starting ones included
	queued   map[string]int // executions per principal, running ones included
	gone     map[string]ended
	goneList []string // the same ids, the oldest first
}

// ended is what is remembered of a session that has ended.
type ended struct {
	principal Principal
	reason    string
}

// NewManager returns a manager without sessions.
func NewManager(cfg Config, backend sandbox.Backend, images Images, log *zap.Logger) *Manager {
	return &Manager{
		cfg: cfg, backend: backend, images: images, log: log,
		history:  newHistory(cfg.HistoryPerSession, cfg.HistoryPerPrincipal, cfg.HistoryBytes),
		held:     newHeld(cfg.HeldPerPrincipal),
		sending:  newHeld(maxSending),
		free:     availableMemory,
		sessions: map[string]*Session{}, counts: map[string]int{},
		queued: map[string]int{}, gone: map[string]ended{},
	}
}

// Config returns the defaults and bounds in force.
func (m *Manager) Config() Config { return m.cfg }

// Isolation returns what is enforced around every session.
func (m *Manager) Isolation() sandbox.Isolation { return m.backend.Isolation() }

// Stats counts what is there and what was done.
type Stats struct {
	Sessions, Executions int // sessions alive; executions that wait or run
	Sandboxes            sandbox.Stats
}

// Stats returns the counts of now.
func (m *Manager) Stats() Stats {
	s := Stats{Sandboxes: m.backend.Stats()}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Sessions = len(m.sessions)
	for _, n := range m.queued {
		s.Executions += n
	}
	return s
}

// Prepare has sandboxes made ready for sessions that ask for nothing special.
func (m *Manager) Prepare() {
	spec, err := m.cfg.complete(Spec{})
	if err != nil {
		return
	}
	image, release, err := m.images.Acquire(spec.Image)
	if err != nil {
		return // whoever wants a session is told
	}
	defer release()
	m.backend.Prepare(sandbox.Spec{Image: image, Start: spec.Isolation, Limits: spec.Resources.limits()})
}

// Create starts a session and returns it once its kernel is ready.
func (m *Manager) Create(ctx context.Context, p Principal, spec Spec) (*Session, error) {
	spec, err := m.cfg.complete(spec)
	if err != nil {
		return nil, err
	}
	if err := m.admit(p); err != nil {
		return nil, err
	}
	defer m.starting.Done()
	s, err := m.start(ctx, p, spec)
	if err != nil {
		m.mu.Lock()
		m.uncount(p)
		m.mu.Unlock()
		return nil, explainCreate(err)
	}
	return s, nil
}

// admit counts a session that is about to start, or refuses it. With a nil
// error, the caller calls m.starting.Done later.
func (m *Manager) admit(p Principal) error {
	const retry = 5 * time.Second
	if free, err := m.free(); err == nil && free < m.cfg.MemoryReserve+m.cfg.Floor.MemoryMB<<20 {
		return &Error{Code: CodeCapacity, RetryAfter: retry,
			Message: fmt.Sprintf("the host has %d MiB of memory left, too little for another session; close sessions or try later", free>>20)}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.draining {
		return errShuttingDown()
	}
	if n := m.counts[p.ID]; !p.Admin && n >= m.cfg.SessionsPerPrincipal {
		return &Error{Code: CodeCapacity, RetryAfter: retry,
			Message: fmt.Sprintf("you have %d sessions, the most that are allowed; close some first", n)}
	}
	m.counts[p.ID]++
	m.starting.Add(1)
	return nil
}

func (m *Manager) uncount(p Principal) {
	if m.counts[p.ID]--; m.counts[p.ID] <= 0 {
		delete(m.counts, p.ID)
	}
}

func (m *Manager) start(ctx context.Context, p Principal, spec Spec) (_ *Session, err error) {
	image, release, err := m.images.Acquire(spec.Image)
	if err != nil {
		return nil, err
	}
	s := &Session{
		id: newID(sessionPrefix), principal: p, manager: m, spec: spec, digest: image.Digest,
		releaseImage: release,
		wake:         make(chan struct{}, 1), restarts: make(chan chan error), asks: make(chan func()),
		closing: make(chan struct{}), closed: make(chan struct{}),
		state: stateReady, idle: *spec.IdleTimeout, metadata: maps.Clone(spec.Metadata),
	}
	s.spec.Image = image.Name
	s.log = m.log.With(zap.String("session", s.id))
	s.sandbox, err = m.backend.Create(ctx, sandbox.Spec{
		Image: image, Start: spec.Isolation, Limits: spec.Resources.limits(), Env: environ(spec.Env), Cwd: spec.Cwd,
		Principal: p.ID, Once: spec.once,
	})
	if err != nil {
		release()
		return nil, err
	}
	defer func() {
		if err != nil {
			destroyCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
			defer cancel()
			if destroyErr := s.sandbox.Destroy(destroyCtx); destroyErr != nil {
				s.log.Error("a session that did not start could not be removed", zap.Error(destroyErr))
			}
			release()
		}
	}()
	for _, f := range spec.Files {
		if err := s.putFile(f); err != nil {
			return nil, err
		}
	}
	if spec.Cwd != "" {
		info, err := s.sandbox.Workspace().Stat(spec.Cwd)
		if err != nil || info.Type != workspace.TypeDirectory {
			return nil, invalid("cwd", "cwd %s is no directory of the workspace; files can make it one", quote(spec.Cwd))
		}
	}
	if err := s.startKernel(ctx); err != nil {
		return nil, err
	}
	// A session's life begins when it can be used: a slow start must not eat it.
	s.created = time.Now()
	s.lastUse = s.created
	if spec.TTL > 0 {
		s.expiresAt = s.created.Add(spec.TTL)
	}
	s.spec.Files = nil
	m.mu.Lock()
	if m.draining {
		m.mu.Unlock()
		s.kernel.kill()
		return nil, errShuttingDown()
	}
	m.sessions[s.id] = s
	m.mu.Unlock()
	s.mu.Lock()
	s.armLocked()
	s.mu.Unlock()
	go s.work()
	return s, nil
}

// Get finds a principal's live session.
func (m *Manager) Get(p Principal, id string) (*Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions[id]
	if ok && p.mayUse(s.principal) {
		return s, nil
	}
	message := "session " + quote(id) + " does not exist"
	if was, ok := m.gone[id]; ok && p.mayUse(was.principal) {
		message = "session " + quote(id) + " has ended: " + was.reason
	}
	return nil, &Error{Code: CodeSessionNotFound, Message: message}
}

func (p Principal) mayUse(owner Principal) bool { return p.Admin || same(p, owner) }

// List returns a principal's live sessions, the oldest first.
func (m *Manager) List(p Principal, f Filter) []*Session {
	m.mu.Lock()
	var found []*Session
	for _, s := range m.sessions {
		if p.mayUse(s.principal) {
			found = append(found, s)
		}
	}
	m.mu.Unlock()
	found = slices.DeleteFunc(found, func(s *Session) bool { return !f.matches(s.Info()) })
	slices.SortFunc(found, func(a, b *Session) int {
		if c := a.created.Compare(b.created); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
	return found
}

func (f Filter) matches(i Info) bool {
	if f.State != "" && f.State != i.State {
		return false
	}
	for k, v := range f.Metadata {
		if i.Metadata[k] != v {
			return false
		}
	}
	return true
}

// Close ends a session and waits until nothing of it is left. A session of the
// principal that has ended already is no error.
func (m *Manager) Close(ctx context.Context, p Principal, id string) error {
	s, err := m.Get(p, id)
	if err == nil {
		return s.Close(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if was, ok := m.gone[id]; ok && p.mayUse(was.principal) {
		return nil
	}
	return err
}

// CloseMatching ends all of a principal's sessions with the given metadata.
func (m *Manager) CloseMatching(ctx context.Context, p Principal, metadata map[string]string) (int, error) {
	return closeAll(ctx, m.List(p, Filter{Metadata: metadata}))
}

func closeAll(ctx context.Context, sessions []*Session) (int, error) {
	errs := make(chan error, len(sessions))
	for _, s := range sessions {
		go func() { errs <- s.Close(ctx) }()
	}
	var err error
	closed := 0
	for range sessions {
		if one := <-errs; one != nil {
			err = errors.Join(err, one)
		} else {
			closed++
		}
	}
	return closed, err
}

// Execution finds one of a principal's executions: running, queued, or
// finished not too long ago.
func (m *Manager) Execution(p Principal, id string) (*Execution, error) {
	e, ok := m.history.get(id)
	if !ok || !p.mayUse(e.principal) {
		return nil, &Error{Code: CodeExecutionUnknown, Message: "execution " + quote(id) + " does not exist, or is no longer remembered"}
	}
	return e, nil
}

// Start makes a session and starts an execution in it. Of one that is refused
// nothing is left.
func (m *Manager) Start(ctx context.Context, p Principal, spec Spec, exec ExecSpec) (*Session, *Execution, error) {
	if _, err := m.cfg.completeExec(exec); err != nil {
		return nil, nil, err // before anything is started
	}
	s, err := m.Create(ctx, p, spec)
	if err != nil {
		return nil, nil, err
	}
	e, err := s.Submit(exec)
	if err != nil {
		s.end(stateClosed, statusCancelled, "its first execution was refused")
		return nil, nil, err
	}
	return s, e, nil
}

// StartOnce is Start, and closes the session after the execution. It returns
// the running execution, whose end does not wait for the closing.
func (m *Manager) StartOnce(ctx context.Context, p Principal, spec Spec, exec ExecSpec) (*Execution, error) {
	spec.once = true
	s, e, err := m.Start(ctx, p, spec, exec)
	if err != nil {
		return nil, err
	}
	go func() {
		<-e.Done()
		s.end(stateClosed, statusCancelled, "its one execution is over")
	}()
	return e, nil
}

// enqueueSlot counts an execution against its principal's queue.
func (m *Manager) enqueueSlot(p Principal) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.draining {
		return errShuttingDown()
	}
	if n := m.queued[p.ID]; n >= m.cfg.QueuePerPrincipal {
		return &Error{Code: CodeCapacity, RetryAfter: time.Second,
			Message: fmt.Sprintf("you have %d executions waiting or running, the most that are allowed; try again when some have finished", n)}
	}
	m.queued[p.ID]++
	return nil
}

func (m *Manager) releaseSlot(p Principal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queued[p.ID]--; m.queued[p.ID] <= 0 {
		delete(m.queued, p.ID)
	}
}

// forget takes an ended session off the list but remembers its id for a while,
// so that closing it again is no error.
func (m *Manager) forget(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, s.id)
	m.uncount(s.principal)
	m.gone[s.id] = ended{s.principal, s.reason}
	m.goneList = append(m.goneList, s.id)
	if len(m.goneList) > closedRemembered {
		delete(m.gone, m.goneList[0])
		m.goneList = m.goneList[1:]
	}
}

// Draining tells whether Drain or Shutdown was called.
func (m *Manager) Draining() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.draining
}

// Drain refuses new sessions and executions from now on.
func (m *Manager) Drain() {
	m.mu.Lock()
	m.draining = true
	m.mu.Unlock()
}

// Shutdown ends all sessions and waits until nothing of them is left. Nobody
// asked for the end of what runs, and it says nothing about the code.
func (m *Manager) Shutdown(ctx context.Context) error {
	m.Drain()
	m.starting.Wait()
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.sessions))
	m.mu.Unlock()
	for _, s := range all {
		s.end(stateClosed, statusInfraError, "the daemon was stopped")
	}
	_, err := closeAll(ctx, all)
	return err
}

func errShuttingDown() error {
	return &Error{Code: CodeShuttingDown, RetryAfter: 5 * time.Second, Message: "the daemon is shutting down"}
}

// explainCreate turns the sandbox's errors into the client's.
func explainCreate(err error) error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, sandbox.ErrLimitTooLow):
		return &Error{Code: CodeInvalid, Param: "resources", Message: "the session could not start within its limits; ask for more memory", Err: err}
	case errors.Is(err, sandbox.ErrExhausted):
		return &Error{Code: CodeCapacity, RetryAfter: 5 * time.Second, Message: "the host has no room for another session", Err: err}
	}
	return fmt.Errorf("create a session: %w", err)
}
