package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

// maxCalls bounds the calls of one connection that are under way.
const maxCalls = 64

// Daemon is what a connection needs of the Go client.
type Daemon interface {
	CreateSession(ctx context.Context, spec v1.SessionSpec) (v1.Session, error)
	GetSession(ctx context.Context, id string) (v1.Session, error)
	PatchSession(ctx context.Context, id string, p v1.SessionPatch) (v1.Session, error)
	CloseSession(ctx context.Context, id string) error
	Interrupt(ctx context.Context, id string) (v1.Session, error)
	Restart(ctx context.Context, id string) (v1.Session, error)
	Cancel(ctx context.Context, execution string) (v1.Execution, error)
	Stream(ctx context.Context, session string, spec v1.ExecSpec, o ...client.StreamOption) (*client.Stream, error)
	Upload(ctx context.Context, session, name string, content io.Reader, o client.UploadOptions) (v1.FileInfo, error)
	Download(ctx context.Context, session, name string) (*client.Content, error)
	ListFiles(ctx context.Context, session, name string, recursive bool) (v1.FileList, error)
}

// Options of a connection.
type Options struct {
	Version string
	// Session is what sessions are made by; its idle timeout is the lease's.
	Session v1.SessionSpec
}

// Connection is one MCP client: its named sessions and its calls under way.
type Connection struct {
	options  Options
	sessions *sessions

	ctx context.Context // ends with the connection
	end context.CancelCauseFunc

	mu       sync.Mutex
	calls    map[string]context.CancelCauseFunc // by the request's id
	version  string                             // agreed on by initialize; empty before
	finished sync.WaitGroup                     // of calls
}

var (
	errCancelled = errors.New("the client cancelled the call")
	errEnded     = errors.New("the connection has ended")
)

// NewConnection returns a connection. It must be closed.
func NewConnection(d Daemon, o Options) *Connection {
	ctx, end := context.WithCancelCause(context.Background())
	c := &Connection{options: o, sessions: newSessions(d, o.Session), ctx: ctx, end: end, calls: map[string]context.CancelCauseFunc{}}
	go c.sessions.renew(ctx)
	return c
}

// Close ends the calls under way and closes the sessions.
func (c *Connection) Close(ctx context.Context) error {
	c.mu.Lock()
	c.end(errEnded)
	c.mu.Unlock()
	waited := make(chan struct{})
	go func() {
		c.finished.Wait()
		close(waited)
	}()
	select {
	case <-waited:
	case <-ctx.Done():
	}
	return c.sessions.close(ctx)
}

// notifier takes what is to be said to the client while a call is under way.
type notifier func(notification)

// handle does what a message asks for. The answer is nil when there is none to
// be sent.
func (c *Connection) handle(ctx context.Context, m *message, notify notifier) *answer {
	if !m.isRequest() {
		if m.Method == "notifications/cancelled" {
			c.cancelled(m.Params)
		}
		return nil // nothing else is waited for
	}
	ctx, done, refused := c.begin(ctx, m)
	if refused != nil {
		return failed(m.ID, refused)
	}
	defer done()
	result, err := c.call(ctx, m, notify)
	switch {
	case errors.Is(context.Cause(ctx), errCancelled):
		return nil // the protocol wants no answer then
	case err != nil:
		return failed(m.ID, err)
	}
	return &answer{JSONRPC: "2.0", ID: m.ID, Result: result}
}

// begin enters a request, so that it can be cancelled and ends with the
// connection.
func (c *Connection) begin(ctx context.Context, m *message) (context.Context, func(), *rpcError) {
	id := string(m.ID)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ctx.Err() != nil:
		return nil, nil, refuse(codeInternal, "%v", errEnded)
	case c.calls[id] != nil:
		return nil, nil, refuse(codeRequest, "the id %s is that of another request that is under way", id)
	case len(c.calls) >= maxCalls:
		return nil, nil, refuse(codeBusy, "%d requests are under way, which is the most; wait for one to end", maxCalls)
	case c.version == "" && m.Method != "initialize" && m.Method != "ping":
		return nil, nil, refuse(codeRequest, "send \"initialize\" first")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(errEnded) })
	c.calls[id] = cancel
	c.finished.Add(1)
	return ctx, func() {
		c.mu.Lock()
		delete(c.calls, id)
		c.mu.Unlock()
		stop()
		cancel(nil)
		c.finished.Done()
	}, nil
}

func (c *Connection) cancelled(params json.RawMessage) {
	var in struct {
		RequestID json.RawMessage `json:"requestId"`
	}
	if decode(params, &in) != nil {
		return
	}
	c.mu.Lock()
	cancel := c.calls[string(in.RequestID)]
	c.mu.Unlock()
	if cancel != nil {
		cancel(errCancelled)
	}
}

func (c *Connection) call(ctx context.Context, m *message, notify notifier) (any, *rpcError) {
	switch m.Method {
	case "initialize":
		return c.initialize(m.Params)
	case "ping":
		return struct{}{}, nil
	case "tools/list":
		return map[string]any{"tools": tools()}, nil
	case "tools/call":
		return c.callTool(ctx, m.Params, notify)
	case "resources/list":
		return c.listResources(ctx)
	case "resources/templates/list":
		return map[string]any{"resourceTemplates": resourceTemplates()}, nil
	case "resources/read":
		return c.readResource(ctx, m.Params)
	}
	return nil, refuse(codeMethod, "there is no method %q here", m.Method)
}

func (c *Connection) initialized() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version != ""
}

const instructions = "Runs Python in isolated sessions without network access. A session keeps its variables and files from call to call. " +
	"Sessions belong to this connection and end with it. Charts and other images that the code displays are returned as images."

func (c *Connection) initialize(params json.RawMessage) (any, *rpcError) {
	var in struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	if err := decode(params, &in); err != nil {
		return nil, err
	}
	version := in.ProtocolVersion
	if !slices.Contains(versions, version) {
		version = versions[0] // a client that can't speak it hangs up
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != "" {
		return nil, refuse(codeRequest, "the connection has been initialized already")
	}
	c.version = version
	return map[string]any{
		"protocolVersion": version,
		"serverInfo":      map[string]any{"name": "tcid", "title": "Python sessions", "version": c.options.Version},
		"capabilities":    map[string]any{"tools": struct{}{}, "resources": struct{}{}},
		"instructions":    instructions,
	}, nil
}
