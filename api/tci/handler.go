package tci

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"time"

	"tcid/api/transport"
	"tcid/daemon/session"
	"tcid/sandbox/workspace"
)

// Defaults of Settings.
const (
	// DefaultSessionTTL is what every published sample of the service shows:
	// from the session's start, not moved by use.
	DefaultSessionTTL  = 30 * time.Minute
	DefaultExecTimeout = 2 * time.Minute
)

// Settings are what an administrator chooses.
type Settings struct {
	SessionTTL  time.Duration // of sessions made here, from their start; 0: the default
	ExecTimeout time.Duration // of one run; 0: the default
	// NotFoundStatus is the status of the answer to a session that does not
	// exist or has ended: 200 as the description has it (also for 0), or 404,
	// which Together's first Python client needs.
	NotFoundStatus int
	// NoDataErrors leaves data.errors out.
	NoDataErrors bool
}

// Handler answers the routes. Its methods return an error that has not been
// sent yet, for the caller to shape by BodyOf.
type Handler struct {
	Settings
	sessions *session.Manager
	flights  *flights
}

// NewHandler returns a handler for a manager's sessions.
func NewHandler(sessions *session.Manager, s Settings) *Handler {
	if s.SessionTTL == 0 {
		s.SessionTTL = DefaultSessionTTL
	}
	if s.ExecTimeout == 0 {
		s.ExecTimeout = DefaultExecTimeout
	}
	return &Handler{Settings: s, sessions: sessions, flights: newFlights()}
}

// Execute runs code in a session, which it makes when none is named. All that
// can be refused is refused before the first byte of the answer.
func (h *Handler) Execute(w http.ResponseWriter, r *http.Request) error {
	body, err := transport.ReadBody(w, r, false)
	if err != nil {
		return err
	}
	var in executeRequest
	if err := transport.Decode(body, &in, false); err != nil {
		return err
	}
	spec, err := in.execSpec(h.ExecTimeout)
	if err != nil {
		return err
	}
	caller := transport.Caller(r)
	k := key{principal: caller.ID, session: in.SessionID, body: sha256.Sum256(body)}
	f := h.flights.join(k, isRetry(r), func() (*session.Execution, func(), error) {
		// The client's end is no reason to stop here: its retry may come.
		return h.start(context.WithoutCancel(r.Context()), caller, in.SessionID, spec)
	})
	select {
	case <-f.started:
	case <-r.Context().Done():
		h.flights.leave(f)
		return nil // nobody reads the answer
	}
	if f.err != nil {
		return h.refuse(w, f.err)
	}
	release := func() {}
	defer func() { release() }()
	if !transport.Await(w, r, f.done, func() (answer any) {
		answer, release = h.result(caller, f.id)
		return final(w, answer)
	}) {
		h.flights.leave(f)
	} else if r.Context().Err() == nil {
		h.flights.answered(f)
	}
	return nil
}

// isRetry tells whether a client of Together's second generation sends a
// request again. The first Python client gives no sign of it.
func isRetry(r *http.Request) bool {
	n, err := strconv.Atoi(r.Header.Get("X-Stainless-Retry-Count"))
	return err == nil && n > 0
}

// start queues an execution in a session, or in a new one when id is empty.
func (h *Handler) start(ctx context.Context, caller session.Principal, id string, spec session.ExecSpec) (*session.Execution, func(), error) {
	if id == "" {
		never := time.Duration(0)
		s, e, err := h.sessions.Start(ctx, caller, session.Spec{TTL: h.SessionTTL, IdleTimeout: &never}, spec)
		if err != nil {
			return nil, nil, err
		}
		return e, func() { s.End("the client that it was made for has gone without its id") }, nil
	}
	s, err := h.sessions.Get(caller, id)
	if err != nil {
		return nil, nil, err
	}
	if err := checkTargets(s, spec.Files); err != nil {
		return nil, nil, err
	}
	e, err := s.Submit(spec)
	return e, nil, err
}

// checkTargets refuses files that can't be written where they should, such as
// behind a link. They are written when the execution's turn comes, under the
// same rules; until then only this can be known.
func checkTargets(s *session.Session, files []session.File) error {
	if len(files) == 0 {
		return nil
	}
	dir, done, err := s.UseFiles()
	if err != nil {
		return err
	}
	defer done()
	for _, f := range files {
		info, err := dir.Stat(f.Name)
		switch {
		case errors.Is(err, workspace.ErrNotFound):
		case errors.Is(err, workspace.ErrClosed):
			return err
		case err != nil:
			return transport.BadRequest("invalid_file", "files", "file %.80q can't be written: %s", f.Name, err)
		case info.Type == workspace.TypeDirectory:
			return transport.BadRequest("invalid_file", "files", "file %.80q can't be written: there is a directory of that name", f.Name)
		}
	}
	return nil
}

// refuse answers a request that did not start. A session that isn't there is
// told within a 200, unless the settings say otherwise.
func (h *Handler) refuse(w http.ResponseWriter, err error) error {
	e := transport.From(err)
	if e.Code != "session_not_found" {
		return err
	}
	if h.NotFoundStatus == http.StatusNotFound {
		missing := *e
		missing.Type, missing.Param = transport.TypeInvalid, "session_id"
		return &missing
	}
	transport.WriteJSON(w, http.StatusOK, final(w, Failed{Errors: []string{e.Message}}))
	return nil
}

// final marks the answer to a request that never ran: sending it again would
// bring the same.
func final(w http.ResponseWriter, answer any) any {
	if _, failed := answer.(Failed); failed {
		w.Header().Set("X-Should-Retry", "false")
	}
	return answer
}

// result shapes an execution that has finished. Call release when it has been
// read.
func (h *Handler) result(caller session.Principal, id string) (answer any, release func()) {
	e, err := h.sessions.Execution(caller, id)
	var result session.Result
	if err == nil {
		result, release, err = e.Read()
	}
	if err != nil {
		return Failed{Errors: []string{"the code has run, but its result is no longer remembered"}}, func() {}
	}
	return h.answerOf(result), release
}

// Sessions lists the caller's live sessions, the oldest first.
func (h *Handler) Sessions(w http.ResponseWriter, r *http.Request) error {
	list := SessionList{Data: sessions{Sessions: []Session{}}}
	for _, s := range h.sessions.List(transport.Caller(r), session.Filter{}) {
		list.Data.Sessions = append(list.Data.Sessions, sessionOf(s.Info()))
	}
	transport.WriteJSON(w, http.StatusOK, list)
	return nil
}
