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
	if a := e.active; a != nil && a.abandon != nil {
		a.abandon.Stop()
		a.abandon = nil
	}
	return e.unlisten
}

func (e *Execution) unlisten() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners--
	e.unpinLocked()
	if a := e.active; e.listeners == 0 && !e.detached && a != nil {
		a.abandon = time.AfterFunc(a.session.manager.cfg.AbandonAfter, e.cancelAbandoned)
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
