package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/daemon/session"
)

func (s *Server) createSession(w http.ResponseWriter, r *http.Request) error {
	var in v1.SessionSpec
	body, err := readJSON(w, r, &in, true)
	if err != nil {
		return err
	}
	spec, err := sessionSpec(in)
	if err != nil {
		return err
	}
	id, _, err := s.once.do(r, body, func(ctx context.Context) (string, error) {
		created, err := s.Sessions.Create(ctx, transport.Caller(r), spec)
		if err != nil {
			return "", err
		}
		if ctx.Err() != nil { // nobody would ever know its id
			created.End("the client that asked for it has gone")
		}
		return created.ID(), nil
	})
	if err != nil || r.Context().Err() != nil {
		return err
	}
	created, err := s.Sessions.Get(transport.Caller(r), id)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/sessions/"+created.ID())
	transport.WriteJSON(w, http.StatusCreated, s.sessionOf(created.Info()))
	return nil
}

func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) error {
	if err := checkQuery(r, "limit", "after", "state", "metadata."); err != nil {
		return err
	}
	limit := defaultPage
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return transport.BadRequest("invalid_value", "limit", "limit must be a number from 1 to %d", maxPage)
		}
		limit = n
	}
	state := r.URL.Query().Get("state")
	if state != "" && state != v1.StateReady && state != v1.StateBusy {
		return transport.BadRequest("invalid_value", "state", "state must be %s or %s", v1.StateReady, v1.StateBusy)
	}
	all := s.Sessions.List(transport.Caller(r), session.Filter{State: state, Metadata: metadataQuery(r)})
	if after := r.URL.Query().Get("after"); after != "" {
		from := -1
		for i, one := range all {
			if one.ID() == after {
				from = i + 1
			}
		}
		if from < 0 {
			return transport.BadRequest("invalid_value", "after", "the session named by after does not exist any more; start the listing again")
		}
		all = all[from:]
	}
	page := v1.SessionList{Data: []v1.Session{}}
	for _, one := range all[:min(limit, len(all))] {
		page.Data = append(page.Data, s.sessionOf(one.Info()))
	}
	if len(all) > limit {
		page.Next = &page.Data[limit-1].ID
	}
	transport.WriteJSON(w, http.StatusOK, page)
	return nil
}

func (s *Server) closeSessions(w http.ResponseWriter, r *http.Request) error {
	if err := checkQuery(r, "metadata."); err != nil {
		return err
	}
	metadata := metadataQuery(r)
	if len(metadata) == 0 {
		return transport.BadRequest("missing_field", "metadata", "name the sessions to close by metadata.KEY=VALUE; no request closes all")
	}
	n, err := s.Sessions.CloseMatching(r.Context(), transport.Caller(r), metadata)
	if err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusOK, v1.ClosedCount{Closed: n})
	return nil
}

// session finds the session that a path names.
func (s *Server) session(r *http.Request) (*session.Session, error) {
	return s.Sessions.Get(transport.Caller(r), r.PathValue("id"))
}

func (s *Server) getSession(w http.ResponseWriter, r *http.Request) error {
	found, err := s.session(r)
	if err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusOK, s.sessionOf(found.Info()))
	return nil
}

func (s *Server) patchSession(w http.ResponseWriter, r *http.Request) error {
	var in v1.SessionPatch
	if _, err := readJSON(w, r, &in, false); err != nil {
		return err
	}
	found, err := s.session(r)
	if err != nil {
		return err
	}
	patch := session.Patch{Metadata: in.Metadata}
	for _, field := range []struct {
		name string
		from *float64
		to   **time.Duration
	}{{"ttl", in.TTL, &patch.TTL}, {"idle_timeout", in.IdleTimeout, &patch.IdleTimeout}} {
		if field.from == nil {
			continue
		}
		d, err := seconds(field.name, field.from)
		if err != nil {
			return err
		}
		*field.to = &d
	}
	if err := found.Update(patch); err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusOK, s.sessionOf(found.Info()))
	return nil
}

func (s *Server) closeSession(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := s.Sessions.Close(r.Context(), transport.Caller(r), id); err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusOK, v1.Closed{ID: id, Closed: true})
	return nil
}

func (s *Server) interruptSession(w http.ResponseWriter, r *http.Request) error {
	found, err := s.session(r)
	if err != nil {
		return err
	}
	if err := found.Interrupt(); err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusAccepted, s.sessionOf(found.Info()))
	return nil
}

func (s *Server) restartSession(w http.ResponseWriter, r *http.Request) error {
	found, err := s.session(r)
	if err != nil {
		return err
	}
	if _, _, err := s.once.do(r, nil, func(ctx context.Context) (string, error) {
		return found.ID(), found.Restart(ctx)
	}); err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusOK, s.sessionOf(found.Info()))
	return nil
}
