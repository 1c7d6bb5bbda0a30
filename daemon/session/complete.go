package session

import (
	"context"
	"fmt"
	"time"

	"tcid/sandbox/kernel"
)

const (
	// askTimeout is how long a kernel may take for an answer that somebody waits
	// for at a keyboard.
	askTimeout = 2 * time.Second
	// askPatience is how long such a question waits for its turn and its answer.
	askPatience = askTimeout + 500*time.Millisecond
)

// Complete asks what could stand at a place in code, given in characters.
func (s *Session) Complete(ctx context.Context, code string, cursor int64) (kernel.Completions, error) {
	return ask(ctx, s, code, func(ctx context.Context) (kernel.Completions, error) {
		return s.kernel.conn.Complete(ctx, code, cursor)
	})
}

// IsComplete asks whether code could run as it is.
func (s *Session) IsComplete(ctx context.Context, code string) (kernel.Completeness, error) {
	return ask(ctx, s, code, func(ctx context.Context) (kernel.Completeness, error) {
		return s.kernel.conn.IsComplete(ctx, code)
	})
}

// ask has the worker put a question to the kernel, when no execution runs.
func ask[T any](ctx context.Context, s *Session, code string, question func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if int64(len(code)) > s.manager.cfg.CodeBytes {
		return none, invalid("code", "code has %d bytes, more than %d", len(code), s.manager.cfg.CodeBytes)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, askPatience,
		&Error{Code: CodeConflict, Message: "the session is busy; ask again when its execution is over"})
	defer cancel()
	answers := make(chan answer, 1)
	put := func() {
		var a answer
		a.err = s.put(func(ctx context.Context) (err error) {
			a.value, err = question(ctx)
			return err
		})
		answers <- a
	}
	select {
	case s.asks <- put:
	case <-s.closing:
		s.mu.Lock()
		defer s.mu.Unlock()
		return none, s.goneErrorLocked()
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// put puts a question to the kernel, in the worker. One that takes too long is
// interrupted; a kernel that does not end it then is replaced. The session's end does
// not wait for it.
func (s *Session) put(question func(context.Context) error) error {
	s.mu.Lock()
	s.uses++ // it is used: no time to idle out
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.uses--
		s.lastUse = time.Now()
		s.armLocked()
		s.mu.Unlock()
	}()
	k := s.kernel // which another may replace below
	interrupt := time.AfterFunc(askTimeout, func() { _ = k.process.Interrupt() })
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout+graceOf(s.manager.cfg))
	defer cancel()
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := question(ctx)
	interrupt.Stop()
	if err == nil {
		return nil
	}
	select {
	case <-s.closing:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.goneErrorLocked()
	default:
	}
	s.kernelDied()
	return &Error{Code: CodeConflict, Err: fmt.Errorf("put a question to a kernel: %w", err),
		Message: "the session's interpreter ended while it looked for an answer; its variables are lost"}
}
