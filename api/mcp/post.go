package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/api/transport"
)

const (
	// disconnectGrace is how long a call goes on whose client has hung up.
	disconnectGrace = 5 * time.Second
	// postHeader names a post to the handler of its message: of an HTTP request,
	// the SDK hands on the header alone.
	postHeader = "Tcid-Post"
)

var errHungUp = errors.New("the client has hung up")

// post is an HTTP request under way, and the writer of its answer: events, which
// the SDK writes, and between them signs of life. What the SDK refuses by a line
// of text is kept, to be told as all errors are.
type post struct {
	http.ResponseWriter
	ctx context.Context // ends some time after the client has hung up

	mu      sync.Mutex
	ended   bool
	refused *transport.Error
}

// posts are those of one connection.
type posts struct {
	mu sync.Mutex
	by map[string]*post
}

// serve has a handler answer a request, so that its message is known by it.
func (s *posts) serve(w http.ResponseWriter, r *http.Request, handler http.Handler) error {
	ctx, stop := lingering(r.Context())
	defer stop()
	p, id := &post{ResponseWriter: w, ctx: ctx}, rand.Text()
	s.mu.Lock()
	if s.by == nil {
		s.by = map[string]*post{}
	}
	s.by[id] = p
	s.mu.Unlock()
	defer s.forget(id)
	w.Header().Set("X-Accel-Buffering", "no")
	r = r.Clone(ctx)
	r.Header.Set(postHeader, id)
	handler.ServeHTTP(p, r)
	return p.end()
}

func (s *posts) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, id)
}

// of finds the post that a message came by; nil if it came by another way.
func (s *posts) of(r sdk.Request) *post {
	extra := r.GetExtra()
	if extra == nil || extra.Header == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[extra.Header.Get(postHeader)]
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

func (p *post) WriteHeader(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if status < http.StatusBadRequest || !strings.HasPrefix(p.Header().Get("Content-Type"), "text/plain") {
		p.ResponseWriter.WriteHeader(status)
		return
	}
	p.Header().Del("Content-Type")
	p.refused = &transport.Error{Status: status, Type: transport.TypeInvalid, Code: "invalid_value"}
	if status == http.StatusNotFound { // it has ended just now
		p.refused.Type, p.refused.Code = transport.TypeNotFound, "session_not_found"
	}
}

func (p *post) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused != nil {
		p.refused.Message = clip(strings.TrimSpace(p.refused.Message + string(text)))
		return len(text), nil
	}
	return p.ResponseWriter.Write(text)
}

// FlushError is what http.ResponseController calls.
func (p *post) FlushError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// beat says at times that the answer will come, until it is stopped.
func (p *post) beat() (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var next *time.Timer
	next = time.AfterFunc(transport.Heartbeat, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ended {
			return
		}
		_, _ = io.WriteString(p.ResponseWriter, ": alive\n\n") // a client that has gone is noticed by its context
		_ = http.NewResponseController(p.ResponseWriter).Flush()
		next.Reset(transport.Heartbeat)
	})
	return func() { next.Stop() }
}

// end is the end of writing. It returns what the SDK has refused.
func (p *post) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.refused != nil {
		return p.refused
	}
	return nil
}
