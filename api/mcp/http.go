package mcp

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/api/transport"
)

const (
	sessionHeader = "Mcp-Session-Id"

	maxConnections    = 128  // of one caller
	maxAllConnections = 1024 // of all callers
	// A connection over HTTP ends when it has had no request for so long.
	connectionIdle = time.Hour
)

// Handler serves the protocol's streamable HTTP transport at one path. Each
// caller sees its own connections only.
type Handler struct {
	dial     func(r *http.Request) Daemon
	options  Options
	protocol http.Handler

	mu          sync.Mutex
	connections map[string]*Connection // by id
	over        bool
}

// connectionKey is the context's, of the connection that a request belongs to.
type connectionKey struct{}

// NewHandler returns a handler without connections. dial returns a client of the
// daemon for the caller of a request.
func NewHandler(dial func(r *http.Request) Daemon, o Options) *Handler {
	server := func(r *http.Request) *sdk.Server {
		return r.Context().Value(connectionKey{}).(*Connection).server
	}
	return &Handler{dial: dial, options: o, connections: map[string]*Connection{},
		protocol: sdk.NewStreamableHTTPHandler(server, &sdk.StreamableHTTPOptions{
			SessionTimeout:             connectionIdle,
			MaxRequestBodyBytes:        MaxMessage,
			DisableLocalhostProtection: true, // the daemon's own looks at Host, and knows which are allowed
		})}
}

// Post takes one message of a client.
func (h *Handler) Post(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, MaxMessage)
	body, err := transport.ReadBody(w, r, false)
	if err != nil {
		return err
	}
	if err := checkMessage(body); err != nil {
		return err
	}
	var c *Connection
	begun := r.Header.Get(sessionHeader) == ""
	if begun {
		c, err = h.begin(r)
	} else {
		c, err = h.find(r)
	}
	if err != nil {
		return err
	}
	if begun {
		defer h.watch(c)
	}
	r = r.WithContext(context.WithValue(r.Context(), connectionKey{}, c))
	if len(body) > maxPlain {
		defer h.displace(c, r)
	}
	r.Body = io.NopCloser(&readOnce{body})
	return c.posts.serve(w, r, h.protocol)
}

// checkMessage refuses what the SDK would take without a bound.
func checkMessage(body []byte) error {
	if bytes.TrimSpace(body)[0] == '[' {
		return transport.BadRequest("invalid_json", "", "send one message at a time: batches are not part of the protocol any more")
	}
	var message map[string]shortJSON // unlike a struct's, its names are exact
	if err := json.Unmarshal(body, &message); err != nil {
		return transport.BadRequest("invalid_json", "", "the body is not a JSON object: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if len(body) > maxPlain && string(message["method"]) != `"tools/call"` {
		return &transport.Error{Status: http.StatusRequestEntityTooLarge, Type: transport.TypeInvalid, Code: "body_too_large",
			Message: fmt.Sprintf("a message that is no call of a tool may have %d KiB", maxPlain>>10)}
	}
	return nil
}

// shortJSON is a JSON value that is not copied if it is long.
type shortJSON string

func (s *shortJSON) UnmarshalJSON(text []byte) error {
	if *s = ""; len(text) <= maxClip {
		*s = shortJSON(text)
	}
	return nil
}

// readOnce reads from a text and does not keep it.
type readOnce struct{ rest []byte }

func (r *readOnce) Read(p []byte) (int, error) {
	n := copy(p, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		r.rest = nil
		return n, io.EOF
	}
	return n, nil
}

// displace takes a large message out of the SDK, which holds on to the last one
// of each connection (v1.8.0: the array of its queue), by a small one.
func (h *Handler) displace(c *Connection, r *http.Request) {
	small := r.Clone(context.WithoutCancel(r.Context()))
	small.Header = http.Header{sessionHeader: {c.id}, "Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	small.Body = io.NopCloser(strings.NewReader(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`))
	h.protocol.ServeHTTP(discarded{}, small)
}

// discarded is an answer that nobody reads.
type discarded http.Header

func (d discarded) Header() http.Header          { return http.Header(d) }
func (discarded) Write(text []byte) (int, error) { return len(text), nil }
func (discarded) WriteHeader(int)                {}

// Delete ends a connection.
func (h *Handler) Delete(w http.ResponseWriter, r *http.Request) error {
	c, err := h.find(r)
	if err != nil {
		return err
	}
	if err := h.finish(r.Context(), c); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Close ends all connections; no more are taken.
func (h *Handler) Close(ctx context.Context) error {
	h.mu.Lock()
	h.over = true
	all := h.connections
	h.connections = nil
	h.mu.Unlock()
	var each sync.WaitGroup
	errs := make(chan error, len(all))
	for _, c := range all {
		each.Go(func() { errs <- c.Close(ctx) })
	}
	each.Wait()
	close(errs)
	var joined error
	for err := range errs {
		joined = errors.Join(joined, err)
	}
	return joined
}

// begin adds a connection. It is found by its id, which nobody knows before the
// first request has been answered.
func (h *Handler) begin(r *http.Request) (*Connection, error) {
	caller := transport.Caller(r).ID
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return nil, &transport.Error{Status: http.StatusServiceUnavailable, Type: transport.TypeServer, Code: "shutting_down", Message: "the daemon is shutting down"}
	}
	n := 0
	for _, c := range h.connections {
		if c.caller == caller {
			n++
		}
	}
	full := ""
	switch {
	case n >= maxConnections:
		full = fmt.Sprintf("you have %d MCP connections, which is the most; end one by DELETE", maxConnections)
	case len(h.connections) >= maxAllConnections:
		full = fmt.Sprintf("there are %d MCP connections, which is the most; try again later", maxAllConnections)
	}
	if full != "" {
		return nil, &transport.Error{Status: http.StatusTooManyRequests, Type: transport.TypeRateLimit, Code: "capacity", RetryAfter: time.Minute, Message: full}
	}
	c := newConnection(h.dial(r), h.options, "mcp_"+rand.Text())
	c.caller = caller
	h.connections[c.id] = c
	return c, nil
}

// watch finishes a connection when the SDK has ended it, which it has already if
// the first request was not "initialize".
func (h *Handler) watch(c *Connection) {
	for s := range c.server.Sessions() {
		go func() {
			_ = s.Wait()
			_ = h.finish(context.Background(), c) // what is left of it ends with its lease
		}()
		return
	}
	_ = h.finish(context.Background(), c) // it has made nothing yet
}

func (h *Handler) find(r *http.Request) (*Connection, error) {
	id := r.Header.Get(sessionHeader)
	if id == "" {
		return nil, transport.BadRequest("missing_field", "", "name the MCP session in the header %s", sessionHeader)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.connections[id]
	if c == nil || c.caller != transport.Caller(r).ID {
		return nil, &transport.Error{Status: http.StatusNotFound, Type: transport.TypeNotFound, Code: "session_not_found",
			Message: "there is no such MCP session, or it has ended: begin a new one with \"initialize\""}
	}
	return c, nil
}

// finish ends a connection, which nobody finds any more.
func (h *Handler) finish(ctx context.Context, c *Connection) error {
	h.mu.Lock()
	_, there := h.connections[c.id]
	delete(h.connections, c.id)
	h.mu.Unlock()
	if !there {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	return c.Close(ctx)
}
