package tci

import (
	"crypto/sha256"
	"sync"
	"time"

	"tcid/daemon/session"
)

const (
	// retryGrace is how long an execution goes on without a client, for one
	// that lost its connection to send its request again.
	retryGrace = 5 * time.Second
	// replayTime is how long a retry still gets the result of an execution
	// that has finished: the answer may have been lost on its way.
	replayTime = 60 * time.Second
)

// key tells that two requests are the same. Requests without a session are only
// told apart by their bodies.
type key struct {
	principal, session string
	body               [sha256.Size]byte
}

// flight is an execution that retries of its request can join.
type flight struct {
	key     key
	started chan struct{} // closed when id or err is set
	done    chan struct{} // closed when the execution has finished
	id      string        // of the execution, which the session's history keeps
	err     error         // why nothing was started

	// Guarded by flights.mu.
	execution *session.Execution // nil before it starts and after it ends
	waiting   int                // clients
	abandon   *time.Timer        // set while nobody waits
	heard     bool               // somebody got the answer
	unheard   func()             // ends what nobody but the answer tells of; may be nil
}

// start begins an execution. unheard, if there is one, is called when nobody got
// to know the session that was made for it.
type start func() (e *session.Execution, unheard func(), err error)

// flights keeps a client's retry of a request from running its code twice.
type flights struct {
	mu     sync.Mutex
	latest map[key]*flight
}

func newFlights() *flights { return &flights{latest: map[key]*flight{}} }

// join returns the flight of a request. A retry joins the one that the request
// began; all others begin one, since the same code may be sent twice
// on purpose. Call leave when the client has gone before its end.
func (fs *flights) join(k key, retry bool, begin start) *flight {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f, known := fs.latest[k]; known && retry {
		f.waiting++
		if f.abandon != nil {
			f.abandon.Stop()
			f.abandon = nil
		}
		return f
	}
	f := &flight{key: k, started: make(chan struct{}), done: make(chan struct{}), waiting: 1}
	fs.latest[k] = f
	go fs.fly(f, begin)
	return f
}

func (fs *flights) fly(f *flight, begin start) {
	execution, unheard, err := begin()
	if err != nil {
		f.err = err
		fs.forget(f)
		close(f.started)
		return
	}
	fs.mu.Lock()
	f.id, f.execution, f.unheard = execution.ID(), execution, unheard
	fs.mu.Unlock()
	close(f.started)
	<-execution.Done()
	fs.mu.Lock()
	// From here on only the history keeps the result: it has a bound.
	f.execution = nil
	fs.mu.Unlock()
	close(f.done)
	time.AfterFunc(replayTime, func() {
		fs.forget(f)
		fs.end(f)
	})
}

// answered says that a client got the answer.
func (fs *flights) answered(f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.heard = true
}

// end ends a session that nobody can know of.
func (fs *flights) end(f *flight) {
	fs.mu.Lock()
	unheard := f.unheard
	if f.heard || f.waiting > 0 {
		unheard = nil
	}
	fs.mu.Unlock()
	if unheard != nil {
		unheard()
	}
}

// leave says that a client has gone. When it was the last one and none comes
// back, the execution is cancelled.
func (fs *flights) leave(f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.waiting--
	if f.waiting == 0 {
		f.abandon = time.AfterFunc(retryGrace, func() { fs.cancel(f) })
	}
}

// cancel ends the execution of a flight that still nobody waits for. A retry
// that comes later begins anew: there is no result to give it.
func (fs *flights) cancel(f *flight) {
	<-f.started
	fs.mu.Lock()
	execution := f.execution
	if f.waiting > 0 || execution == nil {
		fs.mu.Unlock()
		return
	}
	if fs.latest[f.key] == f {
		delete(fs.latest, f.key)
	}
	fs.mu.Unlock()
	execution.Cancel()
	fs.end(f)
}

func (fs *flights) forget(f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.latest[f.key] == f {
		delete(fs.latest, f.key)
	}
}
