package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tcid/api/transport"
)

const (
	sessionHeader = "Mcp-Session-Id"
	versionHeader = "Mcp-Protocol-Version"

	maxConnections = 128 // of one caller
	// A connection over HTTP ends when it has had no request for so long.
	connectionIdle = time.Hour
	closeTimeout   = 30 * time.Second
	// disconnectGrace is how long a call goes on whose client has hung up.
	disconnectGrace = 5 * time.Second
)

var errHungUp = errors.New("the client has hung up")

// Handler serves the protocol's streamable HTTP transport at one path. Each
// caller sees its own connections only.
type Handler struct {
	// Dial returns a client of the daemon for the caller of a request.
	Dial    func(r *http.Request) Daemon
	Options Options

	mu          sync.Mutex
	connections map[string]*held
	over        bool
}

// held is a connection and whose it is.
type held struct {
	*Connection
	id     string
	caller string

	mu     sync.Mutex
	active int // requests
	idle   *time.Timer
}

// Post takes one message of a client.
func (h *Handler) Post(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, MaxMessage)
	body, err := transport.ReadBody(w, r, false)
	if err != nil {
		return err
	}
	if refused := checkVersion(r); refused != nil {
		transport.WriteJSON(w, http.StatusBadRequest, failed(idOf(body), refused))
		return nil
	}
	m, refused := parse(body)
	if refused != nil {
		transport.WriteJSON(w, http.StatusBadRequest, failed(nil, refused))
		return nil
	}
	c, err := h.connection(r, m)
	if err != nil {
		return err
	}
	defer c.leave(h)
	if !m.isRequest() {
		if m.isCall() {
			c.handle(r.Context(), m, nil)
		}
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	if m.Method == "initialize" && r.Header.Get(sessionHeader) == "" {
		w.Header().Set(sessionHeader, c.id)
		defer func() {
			if !c.initialized() {
				_ = h.finish(r.Context(), c) // it has made nothing yet
			}
		}()
	}
	ctx, stop := lingering(r.Context())
	defer stop()
	if m.Method == "tools/call" && accepts(r, "text/event-stream") {
		stream(w, func(notify notifier) *answer { return c.handle(ctx, m, notify) })
		return nil
	}
	if a := c.handle(ctx, m, nil); a != nil {
		transport.WriteJSON(w, http.StatusOK, a)
		return nil
	}
	w.WriteHeader(http.StatusAccepted) // cancelled meanwhile
	return nil
}

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

// connection finds the one that a request belongs to, or begins it.
func (h *Handler) connection(r *http.Request, m *message) (*held, error) {
	if r.Header.Get(sessionHeader) != "" || m.Method != "initialize" {
		c, err := h.find(r)
		if err != nil {
			return nil, err
		}
		c.enter()
		return c, nil
	}
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
	if n >= maxConnections {
		return nil, &transport.Error{Status: http.StatusTooManyRequests, Type: transport.TypeRateLimit, Code: "capacity", RetryAfter: time.Minute,
			Message: fmt.Sprintf("you have %d MCP connections, which is the most; end one by DELETE", maxConnections)}
	}
	c := &held{Connection: NewConnection(h.Dial(r), h.Options), id: "mcp_" + rand.Text(), caller: caller, active: 1}
	if h.connections == nil {
		h.connections = map[string]*held{}
	}
	h.connections[c.id] = c
	return c, nil
}

func (h *Handler) find(r *http.Request) (*held, error) {
	id := r.Header.Get(sessionHeader)
	if id == "" {
		return nil, transport.BadRequest("missing_field", "", "begin with the request \"initialize\", and send the %s of its answer with all others", sessionHeader)
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
func (h *Handler) finish(ctx context.Context, c *held) error {
	h.mu.Lock()
	delete(h.connections, c.id)
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err := c.Close(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle != nil {
		c.idle.Stop()
	}
	return err
}

func (c *held) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active++
	if c.idle != nil {
		c.idle.Stop()
	}
}

// leave ends a request's use of a connection. One that nobody uses for long ends.
func (c *held) leave(h *Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active--; c.active > 0 || c.ctx.Err() != nil {
		return
	}
	c.idle = time.AfterFunc(connectionIdle, func() {
		c.mu.Lock()
		used := c.active > 0
		c.mu.Unlock()
		if !used {
			_ = h.finish(context.Background(), c) // what is left of it ends with its lease
		}
	})
}

// lingering returns a context that outlives another one by the grace.
func lingering(of context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(of))
	stop := context.AfterFunc(of, func() {
		time.AfterFunc(disconnectGrace, func() { cancel(errHungUp) })
	})
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// checkVersion refuses versions that are not spoken, in the way by which clients
// find out which are.
func checkVersion(r *http.Request) *rpcError {
	asked := r.Header.Get(versionHeader)
	if asked == "" || slices.Contains(versions, asked) {
		return nil
	}
	return &rpcError{Code: codeUnsupportedVersion, Message: fmt.Sprintf("version %q of the protocol is not spoken here", clip(asked)),
		Data: map[string]any{"supported": versions, "requested": clip(asked)}}
}

// idOf is the id of a request, if it has one.
func idOf(body []byte) json.RawMessage {
	m, refused := parse(body)
	if refused != nil {
		return nil
	}
	return m.ID
}

func accepts(r *http.Request, kind string) bool {
	for _, value := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(value, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), kind) {
				return true
			}
		}
	}
	return false
}

// stream answers with server-sent events: what is said while do runs, and its
// answer.
func stream(w http.ResponseWriter, do func(notifier) *answer) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	e := &events{w: w, ended: make(chan struct{})}
	defer e.end()
	e.say(": begun\n\n") // sends the header
	go e.beat()
	if a := do(func(n notification) { e.message(n) }); a != nil {
		e.message(a)
	}
}

// events writes server-sent events until end. What is said after that is lost.
type events struct {
	mu    sync.Mutex
	w     http.ResponseWriter
	ended chan struct{}
}

func (e *events) say(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.ended:
		return
	default:
	}
	_, _ = io.WriteString(e.w, text) // a client that has gone is noticed by its context
	_ = http.NewResponseController(e.w).Flush()
}

func (e *events) message(m any) {
	text, err := json.Marshal(m)
	if err != nil { // what the server says always marshals
		panic(fmt.Errorf("encode a message: %w", err))
	}
	e.say("event: message\ndata: " + string(text) + "\n\n")
}

// beat says at times that the answer will come.
func (e *events) beat() {
	tick := time.NewTicker(transport.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-e.ended:
			return
		case <-tick.C:
			e.say(": alive\n\n")
		}
	}
}

func (e *events) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.ended)
}
