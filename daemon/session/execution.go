package session

import (
	"context"
	"sync"
	"time"

	"tcid/daemon/grade"
	"tcid/sandbox/kernel"
	"tcid/sandbox/workspace"
)

// Statuses of an execution, as api/v1 has them.
const (
	statusQueued      = "queued"
	statusRunning     = "running"
	statusOK          = "ok"
	statusError       = "error"
	statusTimeout     = "timeout"
	statusInterrupted = "interrupted"
	statusCancelled   = "cancelled"
	statusMemoryLimit = "memory_limit"
	statusCrashed     = "crashed"
	statusExpired     = "expired"
	statusInfraError  = "infra_error"
)

// Execution is one run of one piece of code. Its methods may be called from
// any goroutine, at any time. Many finished ones are remembered: what they need
// no more belongs into active.
type Execution struct {
	id        string
	principal Principal
	sessionID string
	held      *held               // where bytes are counted
	sending   *held               // where events are counted that clients are being sent
	places    [kindsOfGroup]place // the history's

	mu        sync.Mutex
	active    *active   // nil once it has finished
	result    Result    // what is known so far, without output; all of it, once finished
	log       *eventLog // nil once it is forgotten
	charged   int64     // bytes of events
	size      int64     // of the result and the events; it does not change once finished
	readers   int       // who may have the final result in hands
	listeners int
	detached  bool // it runs on without listeners
}

// active is what an execution has until it has finished. The session's worker,
// which finishes it, reads what does not change without a lock.
type active struct {
	session *Session
	spec    ExecSpec
	done    chan struct{} // closed once it has finished
	stop    chan struct{} // closed when it is to end early; stopStatus says how

	out        *collector
	verdicts   int         // that were told of
	abandon    *time.Timer // nil: somebody listens
	stopStatus string
	kill       bool // at once, without SIGINT first
	// interrupted is set when a client sent SIGINT.
	interrupted bool
}

// over is closed: what has finished needs no channel of its own.
var over = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func newExecution(s *Session, spec ExecSpec, index int64) *Execution {
	e := &Execution{
		id: newID(executionPrefix), principal: s.principal, sessionID: s.id,
		held: s.manager.held, sending: s.manager.sending, detached: spec.Detach,
		log: newEventLog(spec.MaxOutputBytes, maxDisplaysBytes),
		active: &active{
			session: s, spec: spec, done: make(chan struct{}), stop: make(chan struct{}),
			out: newCollector(spec.MaxOutputBytes, s.manager.cfg.DisplayBytes),
		},
	}
	e.result = Result{ID: e.id, SessionID: s.id, Index: index, Status: statusQueued, QueuedAt: time.Now(), Source: kernel.SourceNone}
	e.active.out.take = func(n int64) bool { return e.held.take(e.principal, n) }
	return e
}

// ID returns the execution's id.
func (e *Execution) ID() string { return e.id }

// SessionID returns the id of its session.
func (e *Execution) SessionID() string { return e.sessionID }

// Done is closed when the execution has finished.
func (e *Execution) Done() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.active == nil {
		return over
	}
	return e.active.done
}

// Wait waits until the execution has finished or ctx ends.
func (e *Execution) Wait(ctx context.Context) error {
	select {
	case <-e.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Cancel ends the execution: at once when it is queued, by SIGINT and, should
// that not help, SIGKILL when it runs. A finished one stays as it is.
func (e *Execution) Cancel() {
	e.mu.Lock()
	a := e.active
	e.mu.Unlock()
	if a == nil {
		return
	}
	if a.session.dequeue(e) {
		e.finishUnstarted(statusCancelled, "the execution was cancelled before it started")
		return
	}
	e.endEarly(statusCancelled, false)
}

// endEarly asks the worker to end the execution with the given status.
func (e *Execution) endEarly(status string, kill bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.active
	if a == nil {
		return
	}
	a.kill = a.kill || kill
	if a.stopStatus == "" {
		a.stopStatus = status
		close(a.stop)
	}
}

// stopping returns the status that endEarly asked for, and whether to kill. It is
// for the worker, before the end.
func (e *Execution) stopping() (status string, kill bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.active.stopStatus, e.active.kill
}

func (e *Execution) markInterrupted() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.active != nil {
		e.active.interrupted = true
	}
}

// begin marks the execution as running; false when it has been ended already.
func (e *Execution) begin(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.result.Status != statusQueued {
		return false
	}
	e.result.Status = statusRunning
	e.result.StartedAt = now
	e.recordLocked(Event{Type: typeStarted})
	e.result.Receipt.Queue = now.Sub(e.result.QueuedAt)
	return true
}

// collect takes an event of the kernel.
func (e *Execution) collect(ev kernel.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.active == nil {
		return // finished
	}
	shown := Event{Type: ev.Type, Text: ev.Text}
	if !isStream(ev.Type) {
		shown.Detail = &Detail{Metadata: ev.Metadata, DisplayID: ev.DisplayID, Wait: ev.Wait}
	}
	if ev.Type == typeError {
		shown.Detail.Error = &ExecError{Name: ev.Name, Value: ev.Value, Traceback: ev.Traceback}
		e.result.Error = shown.Detail.Error
	}
	data, seen := e.active.out.add(ev)
	if shown.Detail != nil {
		shown.Detail.Data = data
	}
	if seen {
		e.recordLocked(shown)
	}
}

func (e *Execution) setChanges(changes []workspace.Change, complete bool) {
	e.mu.Lock()
	e.result.Changes, e.result.Unseen = changes, !complete
	e.mu.Unlock()
}

// judged tells of verdicts, in the order of the tests, as soon as they are there.
func (e *Execution) judged(verdicts ...grade.Verdict) []grade.Verdict {
	e.mu.Lock()
	defer e.mu.Unlock()
	verdicts = counted(verdicts)
	for i := range verdicts {
		e.recordLocked(Event{Type: typeTest, Detail: &Detail{Verdict: &verdicts[i], Index: e.active.verdicts}})
		e.active.verdicts++
	}
	return verdicts
}

// fail records why the execution did not end well, as the last output item.
func (e *Execution) fail(name, value string) {
	e.collect(kernel.Event{Type: typeError, Name: name, Value: value, Traceback: []string{name + ": " + value}})
}

func (e *Execution) noteStateLost() {
	e.mu.Lock()
	e.result.StateLost = true
	e.mu.Unlock()
}

func (e *Execution) setOutcome(o kernel.Outcome) {
	e.mu.Lock()
	e.result.Value, e.result.Repr, e.result.Source = o.Result, o.Repr, o.Source
	e.mu.Unlock()
}

// finishUnstarted ends an execution that never ran.
func (e *Execution) finishUnstarted(status, why string) {
	name := "Cancelled"
	if status == statusInfraError {
		name = "InfraError"
	}
	e.fail(name, why)
	e.finish(status, e.judged(judgeUnrun(e.active.spec.Tests, status, "")...), Receipt{Queue: time.Since(e.result.QueuedAt)})
}

// finish makes the execution's final result. Only the first call counts.
func (e *Execution) finish(status string, verdicts []grade.Verdict, receipt Receipt) {
	e.mu.Lock()
	a := e.active
	if a == nil {
		e.mu.Unlock()
		return
	}
	r := &e.result
	r.Status, r.FinishedAt = status, time.Now()
	r.Grade = grade.Grade(verdicts, a.spec.Grading)
	if status == statusInfraError {
		r.Grade.Reward = nil
	}
	a.out.account(&receipt)
	r.Receipt = receipt
	a.out.clip()
	a.out.enter(r)
	e.recordLocked(Event{Type: typeFinished})
	e.held.force(e.principal, -e.charged-a.out.charged)
	e.charged -= e.log.settle(r.Stdout, r.Stderr)
	e.size = r.size() + e.charged
	if a.abandon != nil {
		a.abandon.Stop()
	}
	if e.readers > 0 {
		e.held.force(e.principal, e.size)
	}
	// Results are remembered for long, and must not keep all of a closed session
	// in memory.
	e.active = nil
	e.mu.Unlock()
	a.session.manager.history.add(e)
	close(a.done)
}

// Result returns what is known so far, or the final result.
func (e *Execution) Result() Result {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.snapshotLocked()
}

func (e *Execution) snapshotLocked() Result {
	r := e.result
	if e.active != nil {
		e.active.out.enter(&r)
	}
	return r
}

const (
	// resultCost is what a result costs beside its texts and data, in bytes, and
	// itemCost what each of its items does.
	resultCost = 1536
	itemCost   = 64
)

// size estimates what keeping the result costs. The items of the streams are
// parts of their texts.
func (r *Result) size() int64 {
	n := resultCost + int64(itemCost*len(r.Outputs)+len(r.Stdout)+len(r.Stderr)+len(r.Value))
	for _, o := range r.Outputs {
		if !isStream(o.Type) {
			n += int64(len(o.Text)) + dataSize(o.Data)
		}
	}
	for _, c := range r.Changes {
		n += entryCost + int64(2*len(c.Path))
	}
	return n
}
