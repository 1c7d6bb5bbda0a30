package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"

	"go.uber.org/zap"

	"tcid/api/client"
	"tcid/api/mcp"
	"tcid/api/transport"
	"tcid/daemon/session"
)

// newMCP returns the handlers of /mcp, whose connections call the native routes
// as their callers would.
func (s *Server) newMCP(native http.Handler) *mcp.Handler {
	dial := func(r *http.Request) mcp.Daemon {
		inside := &inProcess{handler: native, caller: transport.Caller(r), log: s.Log}
		return client.New(client.Options{Wrap: func(http.RoundTripper) http.RoundTripper { return inside }})
	}
	return mcp.NewHandler(dial, mcp.Options{Version: s.Version, Panicked: func(value any, stack []byte) {
		s.Log.Error("a handler panicked", zap.Any("panic", value), zap.ByteString("stack", stack))
	}})
}

// CloseMCP ends the connections of all MCP clients.
func (s *Server) CloseMCP(ctx context.Context) error { return s.mcp.Close(ctx) }

// inProcess is a transport to a handler of this process, for one caller, who has
// been authenticated.
type inProcess struct {
	handler http.Handler
	caller  session.Principal
	log     *zap.Logger
}

// RoundTrip answers when the handler has written its header. The handler's
// context ends when the body is closed.
func (t *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	body, w := io.Pipe()
	answer := &pipedAnswer{header: http.Header{}, body: w, begun: make(chan struct{})}
	request := r.Clone(ctx)
	if request.Body == nil {
		request.Body = http.NoBody
	}
	id := "req_" + rand.Text()
	request = transport.WithCaller(transport.WithRequestID(request, id), t.caller)
	answer.header.Set("X-Request-Id", id)
	go func() {
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it like this
				t.log.Error("a handler panicked", zap.String("request_id", id), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			}
			if p == nil {
				answer.WriteHeader(http.StatusOK) // unless it has
				_ = w.Close()
				return
			}
			_ = w.CloseWithError(io.ErrUnexpectedEOF)
			answer.abort()
		}()
		t.handler.ServeHTTP(answer, request)
	}()
	select {
	case <-answer.begun:
	case <-ctx.Done():
		cancel()
		_ = body.CloseWithError(context.Cause(ctx)) // what the handler still writes is lost
		return nil, context.Cause(ctx)
	}
	if answer.aborted {
		cancel()
		return nil, fmt.Errorf("the daemon failed; its log has the details under %s", id)
	}
	return &http.Response{
		Status: http.StatusText(answer.status), StatusCode: answer.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answer.sent, Body: &pipedBody{body, cancel}, ContentLength: contentLength(answer.sent), Request: r,
	}, nil
}

func contentLength(h http.Header) int64 {
	n := int64(-1)
	if text := h.Get("Content-Length"); text != "" {
		_, _ = fmt.Sscan(text, &n)
	}
	return n
}

// pipedBody is an answer's body; closing it ends the handler's context.
type pipedBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *pipedBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// pipedAnswer is the handler's side of an answer.
type pipedAnswer struct {
	header, sent http.Header
	status       int
	aborted      bool
	body         *io.PipeWriter
	once         sync.Once
	begun        chan struct{}
}

func (a *pipedAnswer) Header() http.Header { return a.header }

func (a *pipedAnswer) WriteHeader(status int) {
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.begun)
	})
}

func (a *pipedAnswer) abort() {
	a.once.Do(func() {
		a.aborted = true
		close(a.begun)
	})
}

func (a *pipedAnswer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// Flush does nothing: what is written can be read at once.
func (a *pipedAnswer) Flush() { a.WriteHeader(http.StatusOK) }
