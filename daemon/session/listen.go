package session

import "time"

// Listen keeps an execution from being ended because nobody waits for it. Call
// leave when the listener has gone: an execution that was not started to run on
// alone is cancelled a while after its last one has.
func (e *Execution) Listen() (leave func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners++
	e.pinLocked()
	if e.abandon != nil {
		e.abandon.Stop()
		e.abandon = nil
	}
	return e.unlisten
}

func (e *Execution) unlisten() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners--
	e.unpinLocked()
	if e.listeners == 0 && !e.detached && e.final == nil {
		e.abandon = time.AfterFunc(e.session.manager.cfg.AbandonAfter, e.cancelAbandoned)
	}
}

func (e *Execution) cancelAbandoned() {
	e.mu.Lock()
	alone := e.listeners == 0
	e.mu.Unlock()
	if alone {
		e.Cancel()
	}
}
