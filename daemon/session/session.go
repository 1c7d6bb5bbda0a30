package session

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"tcid/sandbox"
	"tcid/sandbox/workspace"
)

// States of a session, as api/v1 has them.
const (
	stateReady   = "ready"
	stateBusy    = "busy"
	stateClosed  = "closed"
	stateExpired = "expired"
	stateFailed  = "failed"
)

// Session is an id, limits, a workspace and Python state. One worker goroutine
// runs its executions in the order in which they came.
type Session struct {
	id        string
	principal Principal
	manager   *Manager
	spec      Spec
	digest    string // of the image
	created   time.Time
	log       *zap.Logger

	sandbox      sandbox.Sandbox
	releaseImage func()
	kernel       *liveKernel         // used by the worker only
	deaths       int                 // of idle kernels since the last execution; likewise
	lastFiles    *workspace.Snapshot // after the last execution; nil: unknown; likewise
	asks         chan func()         // what the worker is to do between executions

	wake     chan struct{}   // something was queued
	restarts chan chan error // requests for a new kernel
	closing  chan struct{}   // closed when the session is to end
	closed   chan struct{}   // closed when nothing of it is left

	mu          sync.Mutex
	state       string
	reason      string
	queue       []*Execution
	running     *Execution
	process     sandbox.Process // the kernel's, for interrupts
	count       int64
	lastExecute time.Time
	lastUse     time.Time
	expiresAt   time.Time // by ttl; zero: never
	idle        time.Duration
	metadata    map[string]string
	kernels     int64 // restarts
	stateLost   bool  // the kernel died since the last execution
	timer       *time.Timer
	uses        int  // file transfers under way, which keep it from idling out
	touched     bool // files may have been written since the last execution
}

// ID returns the session's id.
func (s *Session) ID() string { return s.id }

// Info returns a snapshot.
func (s *Session) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	start, warning := s.sandbox.Start()
	state := s.state
	if state == stateReady && (s.running != nil || len(s.queue) > 0) {
		state = stateBusy
	}
	return Info{
		ID: s.id, Principal: s.principal, Language: s.spec.Language, State: state,
		CreatedAt: s.created, ExpiresAt: s.expiryLocked(), LastExecuteAt: s.lastExecute,
		ExecuteCount: s.count, Metadata: maps.Clone(s.metadata), Resources: s.spec.Resources,
		NetworkMode: s.spec.NetworkMode, Image: s.spec.Image, ImageDigest: s.digest,
		IdleTimeout: s.idle, KernelRestarts: s.kernels, Reason: s.reason, Sandbox: s.sandbox.ID(), Start: start, Warning: warning,
	}
}

// Update changes what a patch names.
func (s *Session) Update(p Patch) error {
	if p.TTL != nil && (*p.TTL < 0 || *p.TTL > MaxLifetime) {
		return invalid("ttl", "ttl must be between 0 (no end) and %.0f seconds from now", MaxLifetime.Seconds())
	}
	if p.IdleTimeout != nil && (*p.IdleTimeout < 0 || *p.IdleTimeout > MaxLifetime) {
		return invalid("idle_timeout", "idle_timeout must be between 0 (never) and %.0f seconds", MaxLifetime.Seconds())
	}
	if err := checkMetadata(p.Metadata); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.TTL != nil {
		s.expiresAt = time.Time{}
		if *p.TTL > 0 {
			s.expiresAt = time.Now().Add(*p.TTL)
		}
	}
	if p.IdleTimeout != nil {
		s.idle = *p.IdleTimeout
	}
	if p.Metadata != nil {
		s.metadata = maps.Clone(p.Metadata)
	}
	s.lastUse = time.Now()
	s.armLocked()
	return nil
}

// Submit queues an execution.
func (s *Session) Submit(spec ExecSpec) (*Execution, error) {
	spec, err := s.manager.cfg.completeExec(spec)
	if err != nil {
		return nil, err
	}
	if s.manager.held.full(s.principal) {
		return nil, &Error{Code: CodeCapacity, RetryAfter: time.Second,
			Message: fmt.Sprintf("your executions and the answers that you read hold %d MiB of output, the most that is allowed; "+
				"try again when some have finished or been read", s.manager.cfg.HeldPerPrincipal>>20)}
	}
	if err := s.manager.enqueueSlot(s.principal); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.state != stateReady {
		err := s.goneErrorLocked()
		s.mu.Unlock()
		s.manager.releaseSlot(s.principal)
		return nil, err
	}
	s.count++
	e := newExecution(s, spec, s.count)
	s.queue = append(s.queue, e)
	s.lastExecute, s.lastUse = e.result.QueuedAt, e.result.QueuedAt
	s.manager.history.track(e)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return e, nil
}

// dequeue takes an execution out of the queue; false when it isn't there.
func (s *Session) dequeue(e *Execution) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.queue, e)
	if i < 0 {
		return false
	}
	s.queue = slices.Delete(s.queue, i, i+1)
	s.manager.releaseSlot(s.principal)
	return true
}

// Executions lists what is known of the session's executions, by index.
func (s *Session) Executions() []*Execution {
	list := s.manager.history.ofSession(s.id)
	slices.SortFunc(list, func(a, b *Execution) int { return int(a.result.Index - b.result.Index) })
	return list
}

// Interrupt sends SIGINT to what runs, as a notebook's stop button does.
// Nothing happens when nothing runs.
func (s *Session) Interrupt() error {
	s.mu.Lock()
	running, process := s.running, s.process
	s.mu.Unlock()
	if running == nil || process == nil {
		return nil
	}
	running.markInterrupted()
	if err := process.Interrupt(); err != nil {
		return fmt.Errorf("interrupt the session: %w", err)
	}
	return nil
}

// Restart replaces the kernel; files stay, variables go, and what runs ends as
// interrupted. It returns once the new kernel is there.
func (s *Session) Restart(ctx context.Context) error {
	done := make(chan error, 1)
	s.mu.Lock()
	if s.state != stateReady {
		defer s.mu.Unlock()
		return s.goneErrorLocked()
	}
	if s.running != nil {
		s.running.endEarly(statusInterrupted, true)
	}
	s.mu.Unlock()
	select {
	case s.restarts <- done:
	case <-s.closing:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.goneErrorLocked()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// UseFiles returns the workspace and a function to call when its use is over.
// While it is used, the session doesn't idle out.
func (s *Session) UseFiles() (dir *workspace.Dir, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateReady {
		return nil, nil, s.goneErrorLocked()
	}
	s.uses++
	s.touched = true
	s.lastUse = time.Now()
	return s.sandbox.Workspace(), sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.uses--
		s.touched = true
		s.lastUse = time.Now()
		s.armLocked()
	}), nil
}

// goneErrorLocked says that the session can't be used any more, and why.
func (s *Session) goneErrorLocked() error {
	return &Error{Code: CodeSessionNotFound, Message: "session " + quote(s.id) + " has ended: " + s.reason}
}

// expiryLocked is the moment at which the session ends by itself, if nothing
// uses it until then; zero when it doesn't.
func (s *Session) expiryLocked() time.Time {
	at := s.expiresAt
	if s.idle > 0 && s.running == nil && len(s.queue) == 0 && s.uses == 0 {
		if idleAt := s.lastUse.Add(s.idle); at.IsZero() || idleAt.Before(at) {
			at = idleAt
		}
	}
	return at
}

// armLocked sets the timer for the next possible end.
func (s *Session) armLocked() {
	if s.timer != nil {
		s.timer.Stop()
	}
	at := s.expiryLocked()
	if at.IsZero() || s.state != stateReady {
		return
	}
	s.timer = time.AfterFunc(time.Until(at), s.expire)
}

// expire ends the session when its time has really come.
func (s *Session) expire() {
	s.mu.Lock()
	at, ttl := s.expiryLocked(), s.expiresAt
	due := !at.IsZero() && !time.Now().Before(at)
	if !due {
		s.armLocked()
	}
	s.mu.Unlock()
	if !due {
		return
	}
	reason := "it was idle for too long"
	if at.Equal(ttl) {
		reason = "its time to live is over"
	}
	s.end(stateExpired, statusExpired, reason)
}

// end starts the session's end and returns at once; closed tells when it is
// over. status is that of executions which run or wait. Only the first call counts.
func (s *Session) end(state, status, reason string) {
	s.mu.Lock()
	if s.state != stateReady {
		s.mu.Unlock()
		return
	}
	s.state, s.reason = state, reason
	if s.timer != nil {
		s.timer.Stop()
	}
	queue := s.queue
	s.queue = nil
	running := s.running
	s.mu.Unlock()

	if running != nil {
		running.endEarly(status, true)
	}
	for _, e := range queue {
		s.manager.releaseSlot(s.principal)
		e.finishUnstarted(status, "the session ended before the execution started: "+reason)
	}
	close(s.closing)
}

// End ends the session for a reason, and returns at once.
func (s *Session) End(reason string) { s.end(stateClosed, statusCancelled, reason) }

// Close ends the session and waits until nothing of it is left.
func (s *Session) Close(ctx context.Context) error {
	s.end(stateClosed, statusCancelled, "it was closed")
	select {
	case <-s.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close session %s: %w", s.id, context.Cause(ctx))
	}
}

// destroy removes everything of the session. It is the worker's last act, and
// repeats what fails: a session's processes must not outlive it unseen.
func (s *Session) destroy() {
	const attempts = 5
	if s.kernel != nil {
		_ = s.kernel.conn.Close()
	}
	var err error
	for i := range attempts {
		ctx, cancel := context.WithTimeout(context.Background(), destroyTimeout)
		err = s.sandbox.Destroy(ctx)
		cancel()
		if err == nil {
			break
		}
		time.Sleep(time.Duration(i+1) * 200 * time.Millisecond)
	}
	if err != nil {
		s.log.Error("a session could not be removed completely", zap.Error(err))
	}
	s.releaseImage()
	s.manager.forget(s)
	close(s.closed)
}
