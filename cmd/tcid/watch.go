package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

const (
	// secondPress is the time within which another Ctrl-C leaves.
	secondPress      = time.Second
	interruptTimeout = 10 * time.Second
)

// watch is an execution to be shown to its end.
type watch struct {
	begin func(ctx context.Context, o ...client.StreamOption) (*client.Stream, error)
	// interrupt is what Ctrl-C does to it, whether or not it has left the queue;
	// nil: nothing, the command ends.
	interrupt func(ctx context.Context, s *client.Stream, started bool) error
	saver     *saver
	label     func() string // before a result
	// all prints each event as JSON, with --json; else that prints the execution.
	all bool
}

// interruptIn interrupts a session's execution, which keeps its variables, and
// cancels one that is in the queue: it would be another one that was interrupted.
func interruptIn(c *client.Client, session string) func(context.Context, *client.Stream, bool) error {
	return func(ctx context.Context, s *client.Stream, started bool) error {
		var err error
		if started {
			_, err = c.Interrupt(ctx, session)
		} else {
			_, err = c.Cancel(ctx, s.ExecutionID())
		}
		return err
	}
}

// watch shows an execution until it has ended. One that did not end ok is an
// error.
func (a *app) watch(ctx context.Context, w watch) error {
	_, err := a.follow(ctx, w)
	return err
}

// follow is watch, and returns the execution if its end was seen.
func (a *app) follow(ctx context.Context, w watch) (*v1.Execution, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var options []client.StreamOption
	if !a.json || w.all {
		options = append(options, client.Compact)
	}
	s, err := w.begin(ctx, options...)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	p := &presses{ctx: ctx, leave: func() { cancel(errInterrupted) }, stream: s, act: w.interrupt}
	if w.interrupt != nil {
		defer p.done.Wait() // so that none of them comes after the end
		defer a.interrupts.take(p.press)()
	}
	if err := a.show(s, w, p); err != nil {
		return nil, err
	}
	e := s.Execution()
	if a.json && !w.all {
		if err := a.printJSON(e); err != nil {
			return e, err
		}
	}
	if p.count.Load() > 0 && (e.Status == v1.StatusInterrupted || e.Status == v1.StatusCancelled) {
		return e, errInterrupted
	}
	err = ended(*e)
	var program *programError
	if a.json && errors.As(err, &program) {
		program.text = "" // the object tells
	}
	return e, err
}

// show prints the events of a stream.
func (a *app) show(s *client.Stream, w watch, p *presses) error {
	r := a.renderer(w.saver)
	r.label = w.label
	if a.json {
		r.out, r.screen = io.Discard, nil
		if !w.all {
			r.err = io.Discard
		}
	}
	for {
		e, err := s.Next()
		if errors.Is(err, io.EOF) {
			return a.showEnd(r, s.Execution())
		}
		if err != nil {
			return err
		}
		if e.Type == v1.EventStarted {
			p.started.Store(true)
		}
		switch {
		case a.json && w.all:
			err = a.printJSON(e)
		case a.json:
			err = r.save(e)
		default:
			err = r.event(e)
		}
		if err != nil {
			return err
		}
	}
}

// showEnd says what the output doesn't: that names which the next code may count
// on are gone.
func (a *app) showEnd(r *renderer, e *v1.Execution) error {
	if r.screen != nil && r.screen.column > 0 && r.label != nil {
		if err := r.write(r.out, "\n"); err != nil { // a prompt follows
			return err
		}
	}
	// Where the kernel ended just now, the error has said so.
	if e.StateLost && !a.json && (e.Status == v1.StatusOK || e.Status == v1.StatusError) {
		return r.note("the variables of earlier code are lost; files stay")
	}
	return nil
}

// presses are those of Ctrl-C while an execution is shown.
type presses struct {
	ctx     context.Context
	leave   func()
	stream  *client.Stream
	act     func(ctx context.Context, s *client.Stream, started bool) error
	started atomic.Bool
	count   atomic.Int64

	last time.Time // used by the watcher of signals only
	done sync.WaitGroup
}

// press interrupts the execution, or leaves.
func (p *presses) press() {
	now := time.Now()
	quick := now.Sub(p.last) < secondPress
	p.last = now
	if p.count.Add(1) > 1 && quick || p.stream.ExecutionID() == "" {
		p.leave()
		return
	}
	p.done.Go(func() {
		ctx, cancel := context.WithTimeout(p.ctx, interruptTimeout)
		defer cancel()
		if err := p.act(ctx, p.stream, p.started.Load()); err != nil && !client.IsNotFound(err) && p.ctx.Err() == nil {
			p.leave() // it can't be helped from here; the daemon cancels what nobody listens to
		}
	})
}

// printStarted prints the id of an execution that runs on by itself.
func (a *app) printStarted(e v1.Execution, err error) error {
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(e)
	}
	if _, err := fmt.Fprintln(a.out, e.ID); err != nil {
		return &outputError{err}
	}
	return nil
}
