package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

const (
	defaultTimeout = 50.0   // seconds; many clients wait for a minute
	maxTimeout     = 3600.0 // seconds
	// runOutput is what the daemon keeps of a run: more than a model gets, so that
	// an answer can choose.
	runOutput = 256 << 10
	// stopTimeout bounds the wait for the end of code that was interrupted.
	stopTimeout   = 15 * time.Second
	progressEvery = time.Second
	progressText  = 1000 // bytes of the end of the output
)

type runArguments struct {
	Code    string   `json:"code"`
	Session string   `json:"session"`
	Timeout *float64 `json:"timeout"`
}

func (c *Connection) run(ctx context.Context, r *sdk.CallToolRequest, a runArguments) (*sdk.CallToolResult, error) {
	timeout := defaultTimeout
	if a.Timeout != nil {
		timeout = *a.Timeout
	}
	switch {
	case a.Code == "":
		return nil, toolError("give the program in the argument code")
	case !(timeout > 0 && timeout <= maxTimeout):
		return nil, toolError("timeout must be more than 0 and at most %.0f seconds", maxTimeout)
	}
	one, release, err := c.sessions.named(a.Session, true)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := one.take(ctx); err != nil {
		return nil, err
	}
	defer one.give()
	id, err := c.sessions.open(ctx, one)
	if err != nil {
		return nil, err
	}
	e, err := c.execute(ctx, id, v1.ExecSpec{Code: a.Code, Timeout: &timeout, MaxOutputBytes: runOutput}, r)
	if err != nil {
		if gone(err) {
			return nil, one.lose(id, err)
		}
		return nil, mend(err)
	}
	return c.describe(one.name, e, timeout, one.ran(id, e.Status == v1.StatusExpired)), nil
}

// execute runs code. When the call ends first, the code is interrupted and waited
// for, so that the session can be used again with all its variables.
func (c *Connection) execute(ctx context.Context, id string, spec v1.ExecSpec, r *sdk.CallToolRequest) (v1.Execution, error) {
	type outcome struct {
		e   v1.Execution
		err error
	}
	// The request outlives the call by the time that the interrupt takes.
	request, drop := context.WithCancel(context.WithoutCancel(ctx))
	defer drop()
	f := &follower{}
	done := make(chan outcome, 1)
	go func() {
		e, err := f.follow(request, c.sessions.daemon, id, spec)
		done <- outcome{e, err}
	}()
	watched, stop := context.WithCancel(ctx)
	defer stop()
	go f.report(watched, r, *spec.Timeout)
	select {
	case o := <-done:
		return o.e, o.err
	case <-ctx.Done():
	}
	running := f.execution()
	if running == "" { // not accepted yet: nobody listens to it any more
		return v1.Execution{}, context.Cause(ctx)
	}
	limit, cancel := context.WithTimeout(request, stopTimeout)
	defer cancel()
	_, _ = c.sessions.daemon.Cancel(limit, running) // it may have ended meanwhile
	return v1.Execution{}, context.Cause(ctx)
}

// follower listens to an execution. Its methods may be called from two
// goroutines.
type follower struct {
	mu   sync.Mutex
	id   string
	last string // of what it has shown
}

// follow runs code and returns what became of it.
func (f *follower) follow(ctx context.Context, d Daemon, session string, spec v1.ExecSpec) (v1.Execution, error) {
	stream, err := d.Stream(ctx, session, spec)
	if err != nil {
		return v1.Execution{}, err
	}
	defer stream.Close()
	for {
		e, err := stream.Next()
		switch {
		case errors.Is(err, io.EOF):
			return *stream.Execution(), nil
		case err != nil:
			return v1.Execution{}, err
		}
		f.take(stream.ExecutionID(), e)
	}
}

func (f *follower) take(id string, e v1.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.id = id
	switch e.Type {
	case v1.OutputStdout, v1.OutputStderr:
		f.last += e.Text
		if cut := len(f.last) - progressText; cut > 0 {
			f.last = strings.ToValidUTF8(f.last[cut:], "")
		}
	case v1.EventClearOutput:
		f.last = ""
	}
}

func (f *follower) execution() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.id
}

// end is the end of what the code has shown so far.
func (f *follower) end() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// report tells a client that asked for it about once a second how long the code
// has run, and what it has shown last, until ctx ends.
func (f *follower) report(ctx context.Context, r *sdk.CallToolRequest, total float64) {
	token := r.Params.GetProgressToken()
	if token == nil {
		return
	}
	begun := time.Now()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		took := time.Since(begun).Seconds()
		text := f.end()
		if text == "" {
			text = fmt.Sprintf("running for %.0f s", took)
		}
		// A client that has gone is noticed elsewhere.
		_ = r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: took, Total: total, Message: text})
	}
}

// mend says what to do about refusals of a run.
func mend(err error) error {
	var refused *client.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("run the code: %w", err)
	}
	if refused.Code == "body_too_large" || refused.Param == "code" {
		return toolError("%v. Nothing was run. Put long data into files by upload_file, and long programs into modules that a short program imports", err)
	}
	return err
}
