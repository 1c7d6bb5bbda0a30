package kernel

import (
	"context"
	"encoding/json"
	"fmt"
)

// Kinds of requests.
const (
	KindExecute   = "execute"
	KindCondition = "condition"

	kindComplete   = "complete"
	kindIsComplete = "is_complete"
)

// Statuses of an Outcome.
const (
	StatusOK          = "ok"
	StatusError       = "error" // the code raised, or did not compile
	StatusInterrupted = "interrupted"
)

// Sources of a result.
const (
	SourceExpression = "expression" // the last statement's value
	SourceVariable   = "variable"   // the variable result, bound by this execution
	SourceNone       = "none"
)

// Statuses of a Verdict.
const (
	VerdictPassed       = "passed"
	VerdictWrongAnswer  = "wrong_answer"
	VerdictRuntimeError = "runtime_error"
	VerdictCompileError = "compile_error"
	VerdictInterrupted  = "interrupted"
)

// Answers to whether code is complete.
const (
	CodeComplete   = "complete"
	CodeIncomplete = "incomplete"
	CodeInvalid    = "invalid"
)

// answers is the type of message that ends each kind of request.
var answers = map[string]string{
	KindExecute: typeDone, KindCondition: typeVerdict, kindComplete: typeCompletions, kindIsComplete: typeCompleteness,
}

// ExecuteRequest is one cell.
type ExecuteRequest struct {
	Code  string
	Stdin []byte // nil: end-of-file at once
	// Env is set for this execution, then set back.
	Env map[string]string
	// Cwd is the directory for this execution, relative to the kernel's first
	// one; empty: the current one, which os.chdir in the code changes for good.
	Cwd string
	// Filename stands for the code in tracebacks; empty: "<cell N>".
	Filename string
}

// Outcome is how an execution ended.
type Outcome struct {
	Status string          // one of the Status constants
	Result json.RawMessage // the result when it is losslessly JSON, else nil
	Repr   *string         // its repr, bounded; nil when there is no result
	Source string          // one of the Source constants
}

// Verdict is how a condition ended. User code can have made it up: it is what
// the session's own process says.
type Verdict struct {
	Status  string // one of the Verdict constants
	Message string
}

// Completions are what could stand between two characters of code.
type Completions struct {
	Matches    []string
	Start, End int64
}

// Completeness is whether code could run as it is.
type Completeness struct {
	Status string // one of the Code constants
	Indent string // of the next line, when more have to follow
}

type completeMessage struct {
	Type   string `json:"type"`
	ID     int64  `json:"id"`
	Code   string `json:"code"`
	Cursor int64  `json:"cursor"`
}

type isCompleteMessage struct {
	Type string `json:"type"`
	ID   int64  `json:"id"`
	Code string `json:"code"`
}

type executeMessage struct {
	Type     string            `json:"type"`
	ID       int64             `json:"id"`
	Code     string            `json:"code"`
	Stdin    []byte            `json:"stdin"` // encoding/json makes it base64, and null of nil
	Env      map[string]string `json:"env"`
	Cwd      string            `json:"cwd"`
	Filename string            `json:"filename,omitempty"`
}

type conditionMessage struct {
	Type   string `json:"type"`
	ID     int64  `json:"id"`
	Expr   string `json:"expr"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// Execute runs a cell and waits for its end. sink gets the events in order, from
// one goroutine, and not after Execute has returned; while it blocks, the
// kernel's output waits. It must not call methods of the Conn.
//
// ctx bounds the wait, not the code: when it ends the Conn is closed, and the
// code runs on. To stop code, send SIGINT to the kernel and wait for the
// outcome; then the Conn lives on.
func (c *Conn) Execute(ctx context.Context, r ExecuteRequest, sink func(Event)) (Outcome, error) {
	k, err := c.send(ctx, KindExecute, sink, func(id int64) any {
		return executeMessage{
			Type: KindExecute, ID: id, Code: r.Code, Stdin: r.Stdin, Env: r.Env, Cwd: r.Cwd, Filename: r.Filename,
		}
	})
	return c.outcome(ctx, k, err, "execute")
}

// Active is the request that an earlier connection made and whose answer has
// not been handled, or nil. It must be attached to before anything is sent.
func (c *Conn) Active() *Active {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.orphan == nil {
		return nil
	}
	a := *c.orphan
	return &a
}

// Attach waits for the end of the execution that Active names, as Execute does.
func (c *Conn) Attach(ctx context.Context, sink func(Event)) (Outcome, error) {
	k, err := c.adopt(KindExecute, sink)
	return c.outcome(ctx, k, err, "attach to the execution")
}

// AttachCondition waits for the verdict of the condition that Active names.
func (c *Conn) AttachCondition(ctx context.Context) (Verdict, error) {
	k, err := c.adopt(KindCondition, nil)
	return c.verdict(ctx, k, err, "attach to the condition")
}

// Condition evaluates an expression over the session's variables, result (what
// the last execution bound), stdout and stderr. What it prints is dropped. ctx is
// as Execute's.
func (c *Conn) Condition(ctx context.Context, expr, stdout, stderr string) (Verdict, error) {
	k, err := c.send(ctx, KindCondition, nil, func(id int64) any {
		return conditionMessage{Type: KindCondition, ID: id, Expr: expr, Stdout: stdout, Stderr: stderr}
	})
	return c.verdict(ctx, k, err, "evaluate a condition")
}

// Complete asks what could stand at a place in code, given in characters. User
// code may run; what it prints is dropped. ctx is as Execute's.
func (c *Conn) Complete(ctx context.Context, code string, cursor int64) (Completions, error) {
	k, err := c.send(ctx, kindComplete, nil, func(id int64) any {
		return completeMessage{Type: kindComplete, ID: id, Code: code, Cursor: cursor}
	})
	var m *message
	if err == nil {
		m, err = c.wait(ctx, k)
	}
	if err != nil {
		return Completions{}, fmt.Errorf("complete code: %w", err)
	}
	return Completions{Matches: m.Matches, Start: *m.Start, End: *m.End}, nil
}

// IsComplete asks whether code could run as it is. ctx is as Execute's.
func (c *Conn) IsComplete(ctx context.Context, code string) (Completeness, error) {
	k, err := c.send(ctx, kindIsComplete, nil, func(id int64) any {
		return isCompleteMessage{Type: kindIsComplete, ID: id, Code: code}
	})
	var m *message
	if err == nil {
		m, err = c.wait(ctx, k)
	}
	if err != nil {
		return Completeness{}, fmt.Errorf("look whether code is complete: %w", err)
	}
	return Completeness{Status: *m.Status, Indent: *m.Indent}, nil
}

// adopt makes the orphan the current call.
func (c *Conn) adopt(kind string, sink func(Event)) (*call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return nil, c.err
	case c.orphan == nil || c.orphan.Type != kind:
		return nil, fmt.Errorf("no %s request of an earlier connection is left", kind)
	}
	k := &call{id: c.orphan.ID, kind: kind, sink: sink, done: make(chan struct{})}
	c.call, c.orphan = k, nil
	c.changed.Broadcast()
	return k, nil
}

func (c *Conn) outcome(ctx context.Context, k *call, err error, what string) (Outcome, error) {
	var m *message
	if err == nil {
		m, err = c.wait(ctx, k)
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", what, err)
	}
	return Outcome{Status: *m.Status, Result: m.Result, Repr: m.ResultRepr, Source: *m.ResultSource}, nil
}

func (c *Conn) verdict(ctx context.Context, k *call, err error, what string) (Verdict, error) {
	var m *message
	if err == nil {
		m, err = c.wait(ctx, k)
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("%s: %w", what, err)
	}
	return Verdict{Status: *m.Status, Message: *m.Message}, nil
}
