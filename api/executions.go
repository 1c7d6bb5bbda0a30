package api

import (
	"context"
	"net/http"

	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/daemon/session"
)

// begin starts what a request asks for.
type begin func(ctx context.Context) (*session.Execution, error)

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
	return s.run(w, r, in, body, func(context.Context) (*session.Execution, error) {
		found, err := s.session(r)
		if err != nil {
			return nil, err
		}
		return found.Submit(spec)
	})
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
	return s.run(w, r, in.ExecSpec, body, func(ctx context.Context) (*session.Execution, error) {
		return s.Sessions.StartOnce(ctx, transport.Caller(r), spec, exec)
	})
}

// run starts an execution, unless a request with the same key did, and answers
// in the way that the client wants.
func (s *Server) run(w http.ResponseWriter, r *http.Request, in v1.ExecSpec, body []byte, start begin) error {
	if err := checkQuery(r, "compact"); err != nil {
		return err
	}
	compact, err := boolQuery(r, "compact")
	if err != nil {
		return err
	}
	e, leave, replay, err := s.begin(r, body, start)
	if err != nil {
		return err
	}
	defer leave()
	media := accepted(r, mediaJSON)
	if in.Stream && media == mediaJSON {
		media = mediaNDJSON
	}
	if media != mediaJSON {
		return s.stream(w, r, streamOf{Execution: e, media: media, compact: compact, replay: replay})
	}
	shape := func(result session.Result) v1.Execution {
		out := executionOf(result)
		out.IdempotentReplay = replay
		return out
	}
	if in.Detach {
		read := e.Read
		if !replay { // it has only begun, and a refusal would say that it has not
			read = func() (session.Result, func(), error) { return e.Result(), func() {}, nil }
		}
		result, release, err := read()
		if err != nil {
			return err
		}
		defer release()
		w.Header().Set("X-Execution-Id", e.ID())
		w.Header().Set("Location", "/v1/executions/"+e.ID())
		transport.WriteJSON(w, http.StatusAccepted, shape(result))
		return nil
	}
	w.Header().Set("X-Execution-Id", e.ID())
	transport.Await(w, r, e.Done(), func() any { return shape(e.Result()) })
	return nil
}

// begin starts an execution that the client listens to until leave is called.
func (s *Server) begin(r *http.Request, body []byte, start begin) (e *session.Execution, leave func(), replay bool, err error) {
	id, replay, err := s.once.do(r, body, func(ctx context.Context) (string, error) {
		e, err := start(ctx)
		if err != nil {
			return "", err
		}
		leave = e.Listen()
		transport.KeepBody(r, e.Done())
		return e.ID(), nil
	})
	if err != nil {
		return nil, nil, false, err
	}
	e, err = s.Sessions.Execution(transport.Caller(r), id)
	if err != nil {
		if leave != nil {
			leave()
		}
		return nil, nil, false, &session.Error{Code: session.CodeGone,
			Message: "the code of this request has run as execution " + id + ", but its result is no longer remembered"}
	}
	if leave == nil {
		leave = e.Listen()
	}
	return e, leave, replay, nil
}

func (s *Server) listExecutions(w http.ResponseWriter, r *http.Request) error {
	found, err := s.session(r)
	if err != nil {
		return err
	}
	list := v1.ExecutionList{Data: []v1.Execution{}}
	for _, e := range found.Executions() {
		result, release, err := e.Read()
		if err != nil {
			return err
		}
		defer release()
		list.Data = append(list.Data, executionOf(result))
	}
	transport.WriteJSON(w, http.StatusOK, list)
	return nil
}

func (s *Server) getExecution(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Sessions.Execution(transport.Caller(r), r.PathValue("id"))
	if err != nil {
		return err
	}
	return answerExecution(w, e)
}

func answerExecution(w http.ResponseWriter, e *session.Execution) error {
	result, release, err := e.Read()
	if err != nil {
		return err
	}
	defer release()
	transport.WriteJSON(w, http.StatusOK, executionOf(result))
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
	return answerExecution(w, e)
}
