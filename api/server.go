package api

import (
	"net/http"
	"time"

	"go.uber.org/zap"

	"tcid/api/mcp"
	"tcid/api/tci"
	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/daemon/session"
)

// Bounds of requests and connections.
const (
	maxFileBody    = 1 << 30
	maxHeaderBytes = 32 << 10
	maxInFlight    = 1024 // requests of one principal
	headerTimeout  = 5 * time.Second
	unreadTimeout  = 5 * time.Second // for a body that no handler reads
	idleTimeout    = 60 * time.Second
	defaultPage    = 100
	maxPage        = 1000
	maxListedFiles = 10_000
)

// Images lists what sessions can be made from.
type Images interface {
	Images() ([]v1.Image, error)
}

// Options are what a Server needs.
type Options struct {
	Sessions *session.Manager
	Images   Images
	Keys     *Keys    // who may ask over TCP
	Hosts    []string // Host values that TCP requests may name, besides loopback
	Version  string
	Log      *zap.Logger
	TCI      tci.Settings
	// Weaknesses of the host, as GET /v1/version tells them.
	Weaknesses []v1.Weakness
	// Bodies bounds what the bodies of requests take together, on all listeners.
	Bodies *transport.Budget
	// Ready says whether the daemon takes work yet.
	Ready func() bool
}

// Server answers all routes: the native ones, and those of packages tci and mcp.
type Server struct {
	Options
	handler  http.Handler
	guesses  *guesses
	inFlight *inFlight
	streams  *inFlight
	once     *once
	mcp      *mcp.Handler
}

// NewServer returns a server with all routes.
func NewServer(o Options) *Server {
	s := &Server{Options: o, guesses: newGuesses(), inFlight: newInFlight(maxInFlight), streams: newInFlight(maxStreams), once: newOnce()}
	mux := http.NewServeMux()
	s.mcp = s.newMCP(s.unrouted(mux))
	together := tci.NewHandler(o.Sessions, o.TCI)
	for pattern, handle := range map[string]handlerFunc{
		"GET /healthz":    s.health,
		"GET /readyz":     s.ready,
		"GET /metrics":    s.metrics,
		"GET /v1/version": s.version,
		"GET /v1/images":  s.listImages,

		"POST /v1/sessions":                s.createSession,
		"GET /v1/sessions":                 s.listSessions,
		"DELETE /v1/sessions":              s.closeSessions,
		"GET /v1/sessions/{id}":            s.getSession,
		"PATCH /v1/sessions/{id}":          s.patchSession,
		"DELETE /v1/sessions/{id}":         s.closeSession,
		"POST /v1/sessions/{id}/interrupt": s.interruptSession,
		"POST /v1/sessions/{id}/restart":   s.restartSession,

		"POST /v1/sessions/{id}/executions":  s.execute,
		"GET /v1/sessions/{id}/executions":   s.listExecutions,
		"POST /v1/sessions/{id}/complete":    s.complete,
		"POST /v1/sessions/{id}/is_complete": s.isComplete,
		"POST /v1/executions":                s.executeOnce,
		"GET /v1/executions/{id}":            s.getExecution,
		"GET /v1/executions/{id}/events":     s.streamEvents,
		"POST /v1/executions/{id}/cancel":    s.cancelExecution,

		"GET /v1/sessions/{id}/files":              s.listFiles,
		"PUT /v1/sessions/{id}/files/{path...}":    s.putFile,
		"GET /v1/sessions/{id}/files/{path...}":    s.getFile, // HEAD too
		"DELETE /v1/sessions/{id}/files/{path...}": s.deleteFile,

		"POST /v1/tci/execute": together.Execute,
		"GET /v1/tci/sessions": together.Sessions,

		"POST /mcp":   s.mcp.Post,
		"DELETE /mcp": s.mcp.Delete,
	} {
		mux.Handle(pattern, s.answer(handle))
	}
	s.handler = s.outer(rerouted(s.guard(s.authenticate(s.bounded(s.unrouted(mux))))))
	return s
}

// handlerFunc answers a request or returns why it can't.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

func (s *Server) answer(handle handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := handle(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// HTTPServer returns the net/http server for one kind of listener.
func (s *Server) HTTPServer() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // see gate.Certificate
	return finalServer(&http.Server{
		Handler:           s,
		Protocols:         &protocols,
		ConnContext:       connContext,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// It would answer "OPTIONS *" before guard and authenticate do, and wait
		// for its body without end.
		DisableGeneralOptionsHandler: true,

		ErrorLog: zap.NewStdLog(s.Log.Named("http").WithOptions(zap.IncreaseLevel(zap.ErrorLevel))),
	})
}
