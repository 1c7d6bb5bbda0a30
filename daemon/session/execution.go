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
// any goroutine, at any time.
type Execution struct {
	id        string
	principal Principal
	sessionID string
	index     int64
	spec      ExecSpec
	queuedAt  time.Time
	done      chan struct{}

	mu sync.Mutex
	// session is nil once the execution has finished: results are remembered
	// for long, and must not keep all of a closed session in memory.
	session    *Session
	status     string
	startedAt  time.Time
	finishedAt time.Time
	out        *collector
	log        *eventLog // nil once it is forgotten
	held       *held     // where bytes are counted, and how many are
	charged    int64
	sending    *held // where events are counted that clients are being sent
	readers    int   // who may have the final result in hands
	size       int64 // of that and of the events
	value      []byte
	repr       *string
	source     string
	err        *ExecError
	stateLost  bool
	receipt    Receipt
	grade      grade.Outcome
	changes    []workspace.Change
	unseen     bool    // there are more files than were looked at
	verdicts   int     // that were told of
	final      *Result // once finished; the collector is gone then

	detached  bool // it runs on without listeners
	listeners int
	abandon   *time.Timer

	// stop is closed when the execution is to end early; stopStatus says how.
	stop       chan struct{}
	stopStatus string
	kill       bool // at once, without SIGINT first
	// interrupted is set when a client sent SIGINT.
	interrupted bool
}

// ID returns the execution's id.
func (e *Execution) ID() string { return e.id }

// SessionID returns the id of its session.
func (e *Execution) SessionID() string { return e.sessionID }

// Done is closed when the execution has finished.
func (e *Execution) Done() <-chan struct{} { return e.done }

// Wait waits until the execution has finished or ctx ends.
func (e *Execution) Wait(ctx context.Context) error {
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Cancel ends the execution: at once when it is queued, by SIGINT and, should
// that not help, SIGKILL when it runs. A finished one stays as it is.
func (e *Execution) Cancel() {
	e.mu.Lock()
	s := e.session
	e.mu.Unlock()
	if s == nil {
		return
	}
	if s.dequeue(e) {
		e.finishUnstarted(statusCancelled, "the execution was cancelled before it started")
		return
	}
	e.endEarly(statusCancelled, false)
}

// endEarly asks the worker to end the execution with the given status.
func (e *Execution) endEarly(status string, kill bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kill = e.kill || kill
	if e.stopStatus == "" {
		e.stopStatus = status
		close(e.stop)
	}
}

// stopping returns the status that endEarly asked for, and whether to kill.
func (e *Execution) stopping() (status string, kill bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopStatus, e.kill
}

func (e *Execution) markInterrupted() {
	e.mu.Lock()
	e.interrupted = true
	e.mu.Unlock()
}

// begin marks the execution as running; false when it has been ended already.
func (e *Execution) begin(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.status != statusQueued {
		return false
	}
	e.status = statusRunning
	e.startedAt = now
	e.recordLocked(Event{Type: typeStarted})
	e.receipt.Queue = now.Sub(e.queuedAt)
	return true
}

// collect takes an event of the kernel.
func (e *Execution) collect(ev kernel.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.out == nil {
		return // finished
	}
	shown := Event{Type: ev.Type, Text: ev.Text, Metadata: ev.Metadata, DisplayID: ev.DisplayID, Wait: ev.Wait}
	if ev.Type == typeError {
		shown.Error = &ExecError{Name: ev.Name, Value: ev.Value, Traceback: ev.Traceback}
		e.err = shown.Error
	}
	var seen bool
	if shown.Data, seen = e.out.add(ev); seen {
		e.recordLocked(shown)
	}
}

func (e *Execution) setChanges(changes []workspace.Change, complete bool) {
	e.mu.Lock()
	e.changes, e.unseen = changes, !complete
	e.mu.Unlock()
}

// judged tells of verdicts, in the order of the tests, as soon as they are there.
func (e *Execution) judged(verdicts ...grade.Verdict) []grade.Verdict {
	e.mu.Lock()
	defer e.mu.Unlock()
	verdicts = counted(verdicts)
	for i := range verdicts {
		e.recordLocked(Event{Type: typeTest, Verdict: &verdicts[i], Index: e.verdicts})
		e.verdicts++
	}
	return verdicts
}

// fail records why the execution did not end well, as the last output item.
func (e *Execution) fail(name, value string) {
	e.collect(kernel.Event{Type: typeError, Name: name, Value: value, Traceback: []string{name + ": " + value}})
}

func (e *Execution) noteStateLost() {
	e.mu.Lock()
	e.stateLost = true
	e.mu.Unlock()
}

func (e *Execution) setOutcome(o kernel.Outcome) {
	e.mu.Lock()
	e.value, e.repr, e.source = o.Result, o.Repr, o.Source
	e.mu.Unlock()
}

// finishUnstarted ends an execution that never ran.
func (e *Execution) finishUnstarted(status, why string) {
	name := "Cancelled"
	if status == statusInfraError {
		name = "InfraError"
	}
	e.fail(name, why)
	e.finish(status, e.judged(judgeUnrun(e.spec.Tests, status, "")...), Receipt{Queue: time.Since(e.queuedAt)})
}

// finish makes the execution's final result. Only the first call counts.
func (e *Execution) finish(status string, verdicts []grade.Verdict, receipt Receipt) {
	e.mu.Lock()
	if e.final != nil {
		e.mu.Unlock()
		return
	}
	e.status = status
	e.finishedAt = time.Now()
	e.grade = grade.Grade(verdicts, e.spec.Grading)
	if status == statusInfraError {
		e.grade.Reward = nil
	}
	e.out.account(&receipt)
	e.receipt = receipt
	result := e.snapshotLocked()
	e.final = &result
	e.recordLocked(Event{Type: typeFinished})
	e.held.force(e.principal, -e.charged-e.out.charged)
	e.out = nil
	e.spec = ExecSpec{} // only the result is kept
	if e.abandon != nil {
		e.abandon.Stop()
	}
	history := e.session.manager.history
	e.session = nil
	e.size = result.size() + e.charged // the events are what was charged
	if e.readers > 0 {
		e.held.force(e.principal, e.size)
	}
	e.mu.Unlock()
	history.add(e, e.size)
	close(e.done)
}

// Result returns what is known so far, or the final result.
func (e *Execution) Result() Result {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.final != nil {
		return *e.final
	}
	return e.snapshotLocked()
}

func (e *Execution) snapshotLocked() Result {
	r := Result{
		ID: e.id, SessionID: e.sessionID, Index: e.index, Status: e.status,
		QueuedAt: e.queuedAt, StartedAt: e.startedAt, FinishedAt: e.finishedAt,
		Receipt: e.receipt, Outputs: e.out.outputs(),
		DroppedStdout: e.out.dropped[typeStdout], DroppedStderr: e.out.dropped[typeStderr],
		Value: e.value, Repr: e.repr, Source: e.source, Error: e.err,
		StateLost: e.stateLost, Grade: e.grade, Changes: e.changes, Unseen: e.unseen,
	}
	if r.Source == "" {
		r.Source = "none"
	}
	r.Stdout, r.Stderr = streams(r.Outputs)
	return r
}

// resultCost is what a result costs beside its texts and data, in bytes.
const resultCost = 1 << 10

// size estimates what keeping the result costs.
func (r Result) size() int64 {
	n := int64(resultCost) + int64(len(r.Stdout)+len(r.Stderr)+len(r.Value))
	for _, o := range r.Outputs {
		n += int64(len(o.Text)) + dataSize(o.Data)
	}
	for _, c := range r.Changes {
		n += entryCost + int64(2*len(c.Path))
	}
	return n
}
