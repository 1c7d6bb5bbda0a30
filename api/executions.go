package api

import (
	"net/http"
	"time"

	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/daemon/session"
)

func (s *Server) execute(w http.ResponseWriter, r *http.Request) error {
	var in v1.ExecSpec
	body, err := readJSON(w, r, &in, false)
	if err != nil {
		return err
	}
	spec, err := execSpec(in, body)
	if err != nil {
		return err
	}
	found, err := s.session(r)
	if err != nil {
		return err
	}
	e, err := found.Submit(spec)
	if err != nil {
		return err
	}
	s.waitFor(w, r, e)
	return nil
}

func (s *Server) executeOnce(w http.ResponseWriter, r *http.Request) error {
	var in v1.OneShot
	body, err := readJSON(w, r, &in, false)
	if err != nil {
		return err
	}
	exec, err := execSpec(in.ExecSpec, body)
	if err != nil {
		return err
	}
	var spec session.Spec
	if in.Session != nil {
		if spec, err = sessionSpec(*in.Session); err != nil {
			return err
		}
	}
	e, err := s.Sessions.StartOnce(r.Context(), transport.Caller(r), spec, exec)
	if err != nil {
		return err
	}
	s.waitFor(w, r, e)
	return nil
}

// waitFor answers with the execution once it has finished. A client that goes
// away has its execution cancelled after a while.
func (s *Server) waitFor(w http.ResponseWriter, r *http.Request, e *session.Execution) {
	if !transport.Await(w, r, e.Done(), func() any { return executionOf(e.Result()) }) {
		go cancelAbandoned(e)
	}
}

// cancelAbandoned ends an execution that nobody waits for any more.
func cancelAbandoned(e *session.Execution) {
	select {
	case <-e.Done():
	case <-time.After(disconnectGrace):
		e.Cancel()
	}
}

func (s *Server) listExecutions(w http.ResponseWriter, r *http.Request) error {
	found, err := s.session(r)
	if err != nil {
		return err
	}
	list := v1.ExecutionList{Data: []v1.Execution{}}
	for _, e := range found.Executions() {
		list.Data = append(list.Data, executionOf(e.Result()))
	}
	transport.WriteJSON(w, http.StatusOK, list)
	return nil
}

func (s *Server) getExecution(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Sessions.Execution(transport.Caller(r), r.PathValue("id"))
	if err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusOK, executionOf(e.Result()))
	return nil
}

// cancelExecution answers when the execution has ended.
func (s *Server) cancelExecution(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Sessions.Execution(transport.Caller(r), r.PathValue("id"))
	if err != nil {
		return err
	}
	e.Cancel()
	if err := e.Wait(r.Context()); err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusOK, executionOf(e.Result()))
	return nil
}
