package api

import (
	"bufio"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/daemon/session"
)

const (
	maxStreams     = 512 // of one principal at a time
	keepaliveEvery = 5 * time.Second
	sendAgain      = 100 * time.Millisecond // when the caller's streams have too much under way
	streamBuffer   = 32 << 10
)

// Media types of answers to an execution.
const (
	mediaJSON   = "application/json"
	mediaNDJSON = "application/x-ndjson"
	mediaSSE    = "text/event-stream"
)

// accepted is the media type that a request prefers, by its order; the weights
// of RFC 9110 are not looked at, but that 0 means never.
func accepted(r *http.Request, otherwise string) string {
	for _, line := range r.Header.Values("Accept") {
		for entry := range strings.SplitSeq(line, ",") {
			kind, params, err := mime.ParseMediaType(entry)
			if weight, bad := strconv.ParseFloat(params["q"], 64); err != nil || bad == nil && weight == 0 {
				continue
			}
			switch kind {
			case mediaJSON, mediaNDJSON, mediaSSE:
				return kind
			}
		}
	}
	return otherwise
}

// streamOf is what a client wants to see of an execution.
type streamOf struct {
	*session.Execution
	media   string
	after   int64 // the number of the last event that it has
	compact bool
	replay  bool
}

// stream answers with an execution's events until the last one, or until the
// client goes.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, of streamOf) error {
	caller := transport.Caller(r).ID
	if !s.streams.enter(caller) {
		return &transport.Error{Status: http.StatusTooManyRequests, Type: transport.TypeRateLimit, Code: "too_many_streams", RetryAfter: time.Second,
			Message: fmt.Sprintf("you listen to %d executions, the most that are allowed; this one is %s, listen to it when another has ended", maxStreams, of.ID())}
	}
	defer s.streams.leave(caller)
	events, more, ended, err := of.Events(of.after)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", of.media)
	h.Set("X-Execution-Id", of.ID())
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := writer{Writer: bufio.NewWriterSize(w, streamBuffer), control: http.NewResponseController(w), media: of.media}
	beat := time.NewTicker(keepaliveEvery)
	defer beat.Stop()
	if out.flush() != nil {
		return nil // the client has gone
	}
	var again <-chan time.Time // when to try once more to send something
	for {
		sent, ok := of.Sending(events)
		if !ok {
			events, more, ended, again = nil, nil, false, time.After(sendAgain)
		}
		for i := range events {
			out.add(of.wire(&events[i]))
			of.after = events[i].Seq
		}
		if len(events) > 0 {
			beat.Reset(keepaliveEvery)
		}
		gone := out.flush() != nil
		if ok {
			sent()
		}
		if gone || ended {
			return nil
		}
		if len(events) == 0 {
			select {
			case <-more:
			case <-again:
			case <-beat.C:
				out.add(v1.Event{Type: v1.EventKeepalive})
				continue
			case <-r.Context().Done():
				return nil
			}
		}
		if events, more, ended, err = of.Events(of.after); err != nil {
			return nil // it has been cut off: the client finds no end
		}
	}
}

// wire shapes an event.
func (of *streamOf) wire(e *session.Event) v1.Event {
	at := wireTime(e.Time)
	out := v1.Event{Seq: e.Seq, Type: e.Type, Time: &at, Text: e.Text}
	if d := e.Detail; d != nil {
		out.Data, out.Metadata, out.DisplayID, out.Wait, out.Events = d.Data, d.Metadata, d.DisplayID, d.Wait, d.Missing
		if d.Error != nil {
			out.Name, out.Value, out.Traceback = d.Error.Name, d.Error.Value, d.Error.Traceback
		}
	}
	switch e.Type {
	case v1.EventStarted:
		out.ExecutionID, out.SessionID = of.ID(), of.SessionID()
	case v1.EventTest:
		verdict := testOf(e.Detail.Index, *e.Detail.Verdict)
		out.Test = &verdict
	case v1.EventFinished:
		result := executionOf(of.Result())
		result.IdempotentReplay = of.replay
		if of.compact {
			result.Stdout, result.Stderr, result.Outputs = "", "", []v1.Output{}
		}
		out.Execution = &result
	}
	return out
}

// writer encodes events. An error shows when it flushes.
type writer struct {
	*bufio.Writer
	control *http.ResponseController
	media   string
}

func (w *writer) add(e v1.Event) {
	end := "\n"
	if w.media == mediaSSE {
		if e.Seq > 0 {
			fmt.Fprintf(w, "id: %d\n", e.Seq)
		}
		fmt.Fprintf(w, "event: %s\ndata: ", e.Type)
		end = "\n\n"
	}
	_ = transport.Encode(w, e)
	_, _ = w.WriteString(end)
}

func (w *writer) flush() error {
	if err := w.Flush(); err != nil {
		return err
	}
	return w.control.Flush()
}

// streamEvents answers GET /v1/executions/{id}/events.
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request) error {
	if err := checkQuery(r, "after", "compact"); err != nil {
		return err
	}
	compact, err := boolQuery(r, "compact")
	if err != nil {
		return err
	}
	e, err := s.Sessions.Execution(transport.Caller(r), r.PathValue("id"))
	if err != nil {
		return err
	}
	name, text := "Last-Event-ID", r.Header.Get("Last-Event-ID")
	if text == "" {
		name, text = "after", r.URL.Query().Get("after")
	}
	after := int64(0)
	if text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return transport.BadRequest("invalid_value", name, "%s must be the number of an event, not %.40q", name, text)
		}
	}
	media := accepted(r, mediaNDJSON)
	if media == mediaJSON {
		media = mediaNDJSON
	}
	defer e.Listen()()
	return s.stream(w, r, streamOf{Execution: e, media: media, after: after, compact: compact})
}
