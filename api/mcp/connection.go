package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

const (
	// MaxMessage bounds one message of a client, in bytes.
	MaxMessage = 16 << 20
	// maxPlain bounds one over HTTP that calls no tool: the SDK remembers some of
	// them as long as the connection lives.
	maxPlain     = 32 << 10
	maxCalls     = 64 // of one connection that are under way
	closeTimeout = 30 * time.Second
	codeBusy     = -32000 // of JSON-RPC's range for servers
)

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
	// Panicked is told of panics, where the process is to survive them.
	Panicked func(value any, stack []byte)
}

// Connection is one MCP client: its named sessions, and the server that speaks
// with it.
type Connection struct {
	options  Options
	sessions *sessions
	server   *sdk.Server
	id       string // over HTTP, that of the protocol's session
	caller   string // over HTTP, whose it is
	posts    posts

	ctx   context.Context // ends with the connection
	end   context.CancelCauseFunc
	calls atomic.Int32 // under way
}

var errEnded = errors.New("the connection has ended")

const instructions = "Runs Python in isolated sessions without network access. A session keeps its variables and files from call to call. " +
	"Sessions belong to this connection and end with it. Charts and other images that the code displays are returned as images."

// newConnection returns a connection. It must be closed.
func newConnection(d Daemon, o Options, id string) *Connection {
	ctx, end := context.WithCancelCause(context.Background())
	c := &Connection{options: o, sessions: newSessions(d, o.Session), id: id, ctx: ctx, end: end}
	c.server = sdk.NewServer(&sdk.Implementation{Name: "tcid", Title: "Python sessions", Version: o.Version}, &sdk.ServerOptions{
		Instructions: instructions,
		// Without what changes, prompts and logs, which there are not.
		Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{}, Resources: &sdk.ResourceCapabilities{}},
		GetSessionID: func() string { return c.id },
		SetCacheable: func(_ context.Context, _ sdk.Request, hint *sdk.Cacheable) { hint.CacheScope = "private" },
	})
	c.addTools()
	c.server.AddResourceTemplate(fileTemplate, c.readResource)
	c.server.AddReceivingMiddleware(c.around)
	go c.sessions.renew(ctx)
	return c
}

// Close ends the calls under way and closes the sessions.
func (c *Connection) Close(ctx context.Context) error {
	c.end(errEnded)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := range c.server.Sessions() {
			_ = s.Close() // waits for the calls
		}
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return c.sessions.close(ctx)
}

// around has every request end with the connection, and with the HTTP request
// that it came by.
func (c *Connection) around(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (result sdk.Result, err error) {
		if strings.HasPrefix(method, "notifications/") {
			return next(ctx, method, r)
		}
		defer c.calls.Add(-1)
		if c.calls.Add(1) > maxCalls {
			return nil, &jsonrpc.Error{Code: codeBusy, Message: fmt.Sprintf("%d requests are under way, which is the most; wait for one to end", maxCalls)}
		}
		if c.options.Panicked != nil {
			defer func() {
				if p := recover(); p != nil {
					c.options.Panicked(p, debug.Stack())
					result, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "the server failed; its log tells more"}
				}
			}()
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(c.ctx, func() { cancel(errEnded) })()
		if p := c.posts.of(r); p != nil {
			defer context.AfterFunc(p.ctx, func() { cancel(errHungUp) })()
			defer p.beat()()
		}
		result, err = next(ctx, method, r)
		if list, ok := result.(*sdk.ListResourcesResult); ok && err == nil {
			if list.Resources, err = c.listResources(ctx); err != nil {
				return nil, err
			}
		}
		return result, err
	}
}
