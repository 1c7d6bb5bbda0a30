package session

import (
	"fmt"
	"time"
)

// A client may take hours for an answer, and open many. What it reads stays in
// memory until then, whether or not the history still knows it, so it counts for
// the principal; who reads too much starts nothing more.

// Read returns the result so far, or the final one, for a client that may read it
// slowly. Call release when it has.
func (e *Execution) Read() (r Result, release func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.active == nil {
		e.pinLocked()
		return e.result, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.unpinLocked()
		}, nil
	}
	// The texts of a running one are copied for each reader.
	size := resultCost + e.active.out.charged
	if !e.held.take(e.principal, size) {
		return Result{}, nil, &Error{Code: CodeCapacity, RetryAfter: time.Second,
			Message: fmt.Sprintf("your executions and the answers that you read hold %d MiB of output, the most that is allowed; "+
				"try again when some have finished or been read", e.held.most>>20)}
	}
	return e.snapshotLocked(), func() { e.held.force(e.principal, -size) }, nil
}

// pinLocked counts the final result once, however many read it. Before the end
// there is nothing to count yet: finish does it.
func (e *Execution) pinLocked() {
	if e.readers++; e.readers == 1 && e.active == nil {
		e.held.force(e.principal, e.size)
	}
}

func (e *Execution) unpinLocked() {
	if e.readers--; e.readers == 0 && e.active == nil {
		e.held.force(e.principal, -e.size)
	}
}

// Sending counts events that are on their way to a client: the log may forget
// them meanwhile. ok is false when the principal's clients have as much under way
// as they may; then wait a moment and ask for events again.
func (e *Execution) Sending(events []Event) (sent func(), ok bool) {
	size := int64(0)
	for i := range events {
		text, data := events[i].costs()
		size += text + data + entryCost
	}
	if !e.sending.take(e.principal, size) {
		return nil, false
	}
	return func() { e.sending.force(e.principal, -size) }, true
}
