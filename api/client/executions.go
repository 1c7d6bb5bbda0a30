package client

import (
	"context"
	"errors"
	"io"
	"net/http"

	v1 "tcid/api/v1"
)

// Interrupt sends SIGINT to what runs in a session. It is not sent again when
// the connection broke: what runs by then may be something else.
func (c *Client) Interrupt(ctx context.Context, id string) (s v1.Session, err error) {
	return s, c.try(ctx, request{method: http.MethodPost, path: c.path("/v1/sessions/%s/interrupt", id)}, &s)
}

// Restart gives a session a new interpreter; files stay.
func (c *Client) Restart(ctx context.Context, id string) (s v1.Session, err error) {
	return s, c.start(ctx, c.path("/v1/sessions/%s/restart", id), nil, &s)
}

// Execute runs code in a session and returns when it has ended, however it did.
func (c *Client) Execute(ctx context.Context, session string, spec v1.ExecSpec) (e v1.Execution, err error) {
	spec.Stream, spec.Detach = false, false
	return e, c.start(ctx, c.path("/v1/sessions/%s/executions", session), spec, &e)
}

// RunOnce runs code in a session of its own.
func (c *Client) RunOnce(ctx context.Context, spec v1.OneShot) (e v1.Execution, err error) {
	spec.Stream, spec.Detach = false, false
	return e, c.start(ctx, "/v1/executions", spec, &e)
}

// Start runs code in a session and returns at once, with what is known of the
// execution by then. It runs on whether or not anybody listens; see Resume and
// GetExecution.
func (c *Client) Start(ctx context.Context, session string, spec v1.ExecSpec) (e v1.Execution, err error) {
	spec.Stream, spec.Detach = false, true
	return e, c.start(ctx, c.path("/v1/sessions/%s/executions", session), spec, &e)
}

// StartOnce is Start in a session of its own, which is closed afterwards.
func (c *Client) StartOnce(ctx context.Context, spec v1.OneShot) (e v1.Execution, err error) {
	spec.Stream, spec.Detach = false, true
	return e, c.start(ctx, "/v1/executions", spec, &e)
}

// Complete says what could stand at a place in code. While the session runs
// something it is an *Error with the status 409.
func (c *Client) Complete(ctx context.Context, session string, spec v1.CompleteSpec) (m v1.Completions, err error) {
	return m, c.call(ctx, http.MethodPost, c.path("/v1/sessions/%s/complete", session), nil, spec, &m)
}

// IsComplete says whether code could be run as it is. While the session runs
// something it is an *Error with the status 409.
func (c *Client) IsComplete(ctx context.Context, session, code string) (a v1.IsComplete, err error) {
	return a, c.call(ctx, http.MethodPost, c.path("/v1/sessions/%s/is_complete", session), nil, v1.IsCompleteSpec{Code: code}, &a)
}

// ListExecutions returns what is still known of a session's executions.
func (c *Client) ListExecutions(ctx context.Context, session string) (l v1.ExecutionList, err error) {
	return l, c.call(ctx, http.MethodGet, c.path("/v1/sessions/%s/executions", session), nil, nil, &l)
}

// GetExecution returns an execution, also while it runs.
func (c *Client) GetExecution(ctx context.Context, id string) (e v1.Execution, err error) {
	return e, c.call(ctx, http.MethodGet, c.path("/v1/executions/%s", id), nil, nil, &e)
}

// Wait returns an execution when it has ended. While it waits, it listens, which
// keeps the execution running.
func (c *Client) Wait(ctx context.Context, id string) (e v1.Execution, err error) {
	s, err := c.Resume(ctx, id, 0, Compact)
	if err != nil {
		var gone *Error
		if !errors.As(err, &gone) || gone.Status != http.StatusGone {
			return e, err
		}
		return c.GetExecution(ctx, id) // it has ended long ago
	}
	defer s.Close()
	for err == nil {
		_, err = s.Next()
	}
	if !errors.Is(err, io.EOF) {
		return e, err
	}
	return c.GetExecution(ctx, id)
}

// Cancel ends an execution and returns what became of it.
func (c *Client) Cancel(ctx context.Context, id string) (e v1.Execution, err error) {
	return e, c.call(ctx, http.MethodPost, c.path("/v1/executions/%s/cancel", id), nil, nil, &e)
}
