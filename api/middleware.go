package api

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"tcid/api/tci"
	"tcid/api/transport"
)

// outer gives every request an id, its body a time limit, and keeps a panic to
// the request that caused it.
func (s *Server) outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := "req_" + rand.Text()
		r = transport.WithRequestID(r, id)
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if len(r.TransferEncoding) > 0 && enforced("smuggling") {
			// It may have had a Content-Length too, which net/http has taken away by
			// now. A proxy that goes by that would take what follows for the next
			// client's answer, so nothing follows.
			w.Header().Set("Connection", "close")
		}
		if r.ContentLength != 0 && enforced("unread") {
			// net/http waits for what is left of a body before it sends an answer,
			// and again afterwards. Handlers that read the body allow themselves more.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadTimeout))
		}
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.Log.Error("a handler panicked", zap.String("request_id", id), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
				s.fail(w, r, fmt.Errorf("panic: %v", p))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// rerouted gives the paths of package tci their one form.
func rerouted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route, ok := tci.Route(r.URL.Path); ok {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = route, ""
		}
		next.ServeHTTP(w, r)
	})
}

// unrouted gives requests that no route matches the same error shape as all
// others, in the place of ServeMux's plain text.
func (s *Server) unrouted(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// ServeMux redirects paths with "//" or "/../" in them, and a client that
		// follows may turn a POST into a GET.
		if clean := path.Clean(r.URL.EscapedPath()); clean == strings.TrimSuffix(r.URL.EscapedPath(), "/") || clean == "/" {
			if _, pattern := mux.Handler(r); pattern != "" {
				mux.ServeHTTP(w, r)
				return
			}
		}
		// ServeMux knows whether the path or only the method is wrong.
		probe := &statusProbe{header: http.Header{}}
		mux.ServeHTTP(probe, r)
		switch {
		case probe.status == http.StatusMethodNotAllowed:
			w.Header().Set("Allow", probe.header.Get("Allow"))
			s.fail(w, r, &transport.Error{Status: probe.status, Type: transport.TypeInvalid, Code: "method_not_allowed",
				Message: fmt.Sprintf("%s is not possible here; allowed: %s", r.Method, probe.header.Get("Allow"))})
		case probe.status >= 300 && probe.status < 400:
			s.fail(w, r, &transport.Error{Status: http.StatusNotFound, Type: transport.TypeNotFound, Code: "not_found",
				Message: "the path is not in its shortest form: \"//\" and dots must be percent-encoded"})
		default:
			s.fail(w, r, &transport.Error{Status: http.StatusNotFound, Type: transport.TypeNotFound, Code: "not_found",
				Message: "there is no such route; see the API description for those that exist"})
		}
	})
}

// bounded refuses a principal's requests while too many are under way: each
// costs memory, and a handler that waits costs it for long.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := transport.Caller(r).ID
		if caller == "" { // /healthz, which is for everybody and costs nothing
			next.ServeHTTP(w, r)
			return
		}
		if !s.inFlight.enter(caller) {
			s.fail(w, r, &transport.Error{Status: http.StatusTooManyRequests, Type: transport.TypeRateLimit, Code: "too_many_requests",
				RetryAfter: time.Second, Message: fmt.Sprintf("%d of your requests are under way, which is the most; wait for one to end", maxInFlight)})
			return
		}
		defer s.inFlight.leave(caller)
		if s.Bodies != nil {
			held, release := s.Bodies.Hold(r)
			defer release()
			r = held
		}
		next.ServeHTTP(w, r)
	})
}

// inFlight counts the requests under way by principal.
type inFlight struct {
	most int
	mu   sync.Mutex
	of   map[string]int
}

func newInFlight(most int) *inFlight { return &inFlight{most: most, of: map[string]int{}} }

func (f *inFlight) enter(caller string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of[caller] >= f.most {
		return false
	}
	f.of[caller]++
	return true
}

func (f *inFlight) leave(caller string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of[caller]--; f.of[caller] == 0 {
		delete(f.of, caller)
	}
}

// statusProbe takes an answer without sending it.
type statusProbe struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) WriteHeader(status int)      { p.status = status }
func (p *statusProbe) Write(b []byte) (int, error) { return p.body.Write(b) }
