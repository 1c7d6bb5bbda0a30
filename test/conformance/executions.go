package conformance

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

const (
	pollEvery = 100 * time.Millisecond
	pollFor   = 30 * time.Second
)

// operations are what steps can do. Each takes its arguments before it asks the
// daemon.
var operations = map[string]func(*player, context.Context, *step) (any, error){
	"create":   (*player).create,
	"run":      running((*client.Client).Execute),
	"start":    running((*client.Client).Start),
	"run_once": runningOnce((*client.Client).RunOnce), "start_once": runningOnce((*client.Client).StartOnce),
	"stream": (*player).stream, "stream_once": (*player).streamOnce, "resume": (*player).resume,
	"get":    about((*client.Client).GetExecution),
	"wait":   about((*client.Client).Wait),
	"cancel": about((*client.Client).Cancel),
	"poll":   about(poll),
	"executions": func(p *player, ctx context.Context, s *step) (any, error) {
		list, err := p.c.ListExecutions(ctx, p.session(s))
		all := []shown{}
		for _, e := range list.Data {
			all = append(all, shown{e})
		}
		return all, err
	},
	"complete": func(p *player, ctx context.Context, s *step) (any, error) {
		spec := v1.CompleteSpec{Code: s.text("code")}
		s.take("cursor", &spec.Cursor)
		return p.c.Complete(ctx, p.session(s), spec)
	},
	"is_complete": func(p *player, ctx context.Context, s *step) (any, error) {
		return p.c.IsComplete(ctx, p.session(s), s.text("code"))
	},
	"interrupt": func(p *player, ctx context.Context, s *step) (any, error) {
		return p.c.Interrupt(ctx, p.session(s))
	},
	"restart": func(p *player, ctx context.Context, s *step) (any, error) {
		return p.c.Restart(ctx, p.session(s))
	},
	"upload":   (*player).upload,
	"download": (*player).download,
	"list": func(p *player, ctx context.Context, s *step) (any, error) {
		var recursive bool
		s.take("recursive", &recursive)
		list, err := p.c.ListFiles(ctx, p.session(s), s.text("path"), recursive)
		return list.Data, err
	},
	"delete": func(p *player, ctx context.Context, s *step) (any, error) {
		var recursive bool
		s.take("recursive", &recursive)
		return true, p.c.DeleteFile(ctx, p.session(s), s.text("path"), recursive)
	},
	"close": func(p *player, ctx context.Context, s *step) (any, error) {
		err := p.c.CloseSession(ctx, p.session(s))
		if client.IsNotFound(err) {
			err = nil // this client tells; whoever wants it closed needn't look
		}
		return true, err
	},
}

// execSpec takes what executions have in common.
func (s *step) execSpec() (spec v1.ExecSpec) {
	var options struct {
		v1.ExecSpec
		Grading string `json:"grading"` // in the place of the object
	}
	s.take("options", &options)
	spec = options.ExecSpec
	if options.Grading != "" {
		spec.Grading = &v1.Grading{Mode: options.Grading}
	}
	spec.Code = s.text("code")
	s.take("tests", &spec.Tests)
	return spec
}

func (s *step) oneShot() v1.OneShot {
	var session v1.SessionSpec
	s.take("session_options", &session)
	return v1.OneShot{ExecSpec: s.execSpec(), Session: &session}
}

// keyed gives the calls of a step the key that the case names, if it does.
func (p *player) keyed(ctx context.Context, s *step) context.Context {
	name := s.text("key")
	if name == "" {
		return ctx
	}
	if p.keys[name] == "" {
		p.keys[name] = rand.Text()
	}
	return client.WithKey(ctx, p.keys[name])
}

// execution is the case's name of an execution.
func (*player) execution(s *step) string {
	if name := s.text("execution"); name != "" {
		return name
	}
	return "e"
}

func running(call func(*client.Client, context.Context, string, v1.ExecSpec) (v1.Execution, error)) func(*player, context.Context, *step) (any, error) {
	return func(p *player, ctx context.Context, s *step) (any, error) {
		id, name, spec := p.session(s), p.execution(s), s.execSpec()
		ctx = p.keyed(ctx, s)
		if s.bad != nil {
			return nil, s.bad
		}
		e, err := call(p.c, ctx, id, spec)
		p.ran[name] = e.ID
		return shown{e}, err
	}
}

func runningOnce(call func(*client.Client, context.Context, v1.OneShot) (v1.Execution, error)) func(*player, context.Context, *step) (any, error) {
	return func(p *player, ctx context.Context, s *step) (any, error) {
		name, spec := p.execution(s), s.oneShot()
		ctx = p.keyed(ctx, s)
		if s.bad != nil {
			return nil, s.bad
		}
		e, err := call(p.c, ctx, spec)
		p.ran[name] = e.ID
		return shown{e}, err
	}
}

// about is an operation on an execution that is there.
func about(call func(*client.Client, context.Context, string) (v1.Execution, error)) func(*player, context.Context, *step) (any, error) {
	return func(p *player, ctx context.Context, s *step) (any, error) {
		e, err := call(p.c, ctx, p.executionID(s))
		return shown{e}, err
	}
}

func (p *player) executionID(s *step) string {
	if id := s.text("execution_id"); id != "" {
		return id
	}
	return p.ran[p.execution(s)]
}

// poll asks until an execution has ended, without listening to it.
func poll(c *client.Client, ctx context.Context, id string) (v1.Execution, error) { //nolint:revive // the shape of the client's methods
	ctx, cancel := context.WithTimeoutCause(ctx, pollFor, errors.New("the execution goes on"))
	defer cancel()
	for {
		e, err := c.GetExecution(ctx, id)
		if err != nil || e.Done() {
			return e, err
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return e, context.Cause(ctx)
		}
	}
}

func (p *player) stream(ctx context.Context, s *step) (any, error) {
	id, name, spec := p.session(s), p.execution(s), s.execSpec()
	s.take("detach", &spec.Detach)
	ctx = p.keyed(ctx, s)
	return p.follow(s, name, 0, func() (*client.Stream, error) { return p.c.Stream(ctx, id, spec) })
}

func (p *player) streamOnce(ctx context.Context, s *step) (any, error) {
	name, spec := p.execution(s), s.oneShot()
	s.take("detach", &spec.Detach)
	ctx = p.keyed(ctx, s)
	return p.follow(s, name, 0, func() (*client.Stream, error) { return p.c.StreamOnce(ctx, spec) })
}

func (p *player) resume(ctx context.Context, s *step) (any, error) {
	id, after := p.executionID(s), int64(0)
	s.take("after", &after)
	return p.follow(s, "", after, func() (*client.Stream, error) { return p.c.Resume(ctx, id, after) })
}

// follow reads a stream to its end, or to the event behind which it is left.
func (p *player) follow(s *step, name string, last int64, open func() (*client.Stream, error)) (any, error) {
	until := s.text("leave_after")
	if s.bad != nil {
		return nil, s.bad
	}
	stream, err := open()
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	events := []map[string]any{}
	for {
		e, err := stream.Next()
		if errors.Is(err, io.EOF) && until != "" {
			return nil, fmt.Errorf("the stream ended without the event %s", until)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err == nil {
			gap := max(e.Events, 1) // a truncated stands for so many
			if e.Seq != last+gap {
				return nil, fmt.Errorf("event %d (%s) came after %d", e.Seq, e.Type, last)
			}
			last = e.Seq
			if events, err = join(events, e); err != nil {
				return nil, err
			}
			if e.Type != until {
				continue
			}
		}
		break
	}
	if name != "" {
		p.ran[name] = stream.ExecutionID()
	}
	answer := map[string]any{"id": stream.ExecutionID(), "events": events, "execution": nil}
	if e := stream.Execution(); e != nil {
		answer["execution"] = shown{*e}
	}
	return answer, nil
}

// join appends an event as the cases show it: pieces of a stream are one.
func join(events []map[string]any, e v1.Event) ([]map[string]any, error) {
	if n := len(events); n > 0 && events[n-1]["type"] == e.Type && (e.Type == v1.OutputStdout || e.Type == v1.OutputStderr) {
		before, _ := events[n-1]["text"].(string)
		events[n-1]["text"] = before + e.Text
		return events, nil
	}
	plain, err := asJSON(e)
	if err != nil {
		return nil, err
	}
	event, _ := plain.(map[string]any)
	delete(event, "seq")
	delete(event, "time")
	if e.Execution != nil {
		event["execution"] = shown{*e.Execution}
	}
	return append(events, event), nil
}

// shown is an execution as the client shows it.
type shown struct{ v1.Execution }

// MarshalJSON adds what the client has besides the fields.
func (s shown) MarshalJSON() ([]byte, error) {
	fields, err := asJSON(s.Execution)
	if err != nil {
		return nil, err
	}
	object, _ := fields.(map[string]any)
	object["result"], object["ok"], object["done"] = s.Value(), s.OK(), s.Done()
	object["text"], object["images"] = s.Text(), len(s.Images())
	return json.Marshal(object)
}
