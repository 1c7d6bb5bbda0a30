package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	v1 "tcid/api/v1"
)

const (
	ndjson = "application/x-ndjson"
	// maxSilence is the longest time between two bytes of a stream, in which a
	// keepalive comes every five seconds.
	maxSilence = 30 * time.Second
	// maxLine bounds an event: the last one holds an execution with all its
	// output.
	maxLine = maxAnswer
	// maxReconnects bounds the tries to go on with a stream, one after the other,
	// in which nothing came.
	maxReconnects = 8
)

// errClosed is what a stream ends with that its user has closed.
var errClosed = errors.New("the stream was closed")

// StreamOption changes how a stream is asked for.
type StreamOption func(*Stream)

// Compact leaves stdout, stderr and outputs out of the execution that the last
// event holds: the events before it have told them.
func Compact(s *Stream) { s.compact = true }

// Stream is what happens in an execution, as it happens. It mends broken
// connections by itself and gives each event once and in order. Next is for one
// goroutine; Close may be called from any.
type Stream struct {
	c       *Client
	ctx     context.Context
	cancel  context.CancelCauseFunc
	post    request // what began it; without a method: it was resumed
	tries   tries   // of post
	compact bool

	mu     sync.Mutex // held by Next
	body   io.ReadCloser
	lines  *bufio.Reader
	failed int // connections without an event, one after the other
	last   int64
	fresh  bool  // no event has come yet
	err    error // what it ended with

	state     sync.Mutex
	id        string
	execution *v1.Execution
}

// Stream runs code in a session and returns its events. An error means that it
// was refused or is out of reach.
func (c *Client) Stream(ctx context.Context, session string, spec v1.ExecSpec, o ...StreamOption) (*Stream, error) {
	spec.Stream = false // the header asks for it
	return c.stream(ctx, c.path("/v1/sessions/%s/executions", session), spec, o)
}

// StreamOnce is Stream in a session of its own, which is closed afterwards.
func (c *Client) StreamOnce(ctx context.Context, spec v1.OneShot, o ...StreamOption) (*Stream, error) {
	spec.Stream = false
	return c.stream(ctx, "/v1/executions", spec, o)
}

// Resume returns the events of an execution behind the one numbered after; 0:
// all. There are none behind the last one. Closing the stream does nothing to the execution.
func (c *Client) Resume(ctx context.Context, execution string, after int64, o ...StreamOption) (*Stream, error) {
	s := c.newStream(ctx, request{}, o)
	s.id, s.last = execution, after
	return s.begin()
}

func (c *Client) stream(ctx context.Context, path string, in any, o []StreamOption) (*Stream, error) {
	s := c.newStream(ctx, request{method: http.MethodPost, path: path, in: in, accept: ndjson, key: newKey(ctx), again: true}, o)
	if s.compact {
		s.post.query = url.Values{"compact": {"true"}}
	}
	if err := s.post.encode(); err != nil {
		s.cancel(err)
		return nil, err
	}
	return s.begin()
}

func (c *Client) newStream(ctx context.Context, post request, o []StreamOption) *Stream {
	s := &Stream{c: c, post: post, fresh: true, tries: tries{request: post, pause: c.pause}}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	for _, set := range o {
		set(s)
	}
	return s
}

// begin makes the first connection.
func (s *Stream) begin() (*Stream, error) {
	r := s.post
	if r.method == "" {
		r.again = true
	}
	if err := s.c.retry(s.ctx, r, s.connect); err != nil {
		s.cancel(err)
		return nil, err
	}
	return s, nil
}

// ExecutionID is the execution's id; "" as long as it is not known.
func (s *Stream) ExecutionID() string {
	s.state.Lock()
	defer s.state.Unlock()
	return s.id
}

// Execution is the execution as it ended; nil before its last event came.
func (s *Stream) Execution() *v1.Execution {
	s.state.Lock()
	defer s.state.Unlock()
	return s.execution
}

// Close leaves the stream. The daemon cancels an execution that nobody listens
// to, a few seconds later, unless it was detached or resumed.
func (s *Stream) Close() {
	s.cancel(errClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disconnect()
	if s.err == nil {
		s.err = errClosed
	}
}

// Next returns the next event, and io.EOF behind the last one, which is of the
// type v1.EventFinished. Keepalives are no events. After an error there are no
// more.
func (s *Stream) Next() (v1.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil {
		e, err := s.read()
		switch {
		case err == nil && e.Type == v1.EventKeepalive:
			s.failed = 0
		case err == nil && e.Seq > s.last:
			s.failed = 0
			s.take(e)
			return e, nil
		case err != nil:
			s.disconnect()
			if s.err = s.over(err); s.err == nil {
				s.err = s.mend(err)
			}
		}
	}
	return v1.Event{}, s.err
}

// over is io.EOF when a stream that was resumed behind the last event has ended,
// as it should, without any; else nil.
func (s *Stream) over(err error) error {
	if !s.fresh || s.last == 0 || !errors.Is(err, errNoLine) {
		return nil
	}
	e, err := s.c.GetExecution(s.ctx, s.ExecutionID())
	if err != nil || !e.Done() {
		return nil
	}
	s.state.Lock()
	s.execution = &e
	s.state.Unlock()
	s.cancel(io.EOF)
	return io.EOF
}

// take keeps what later calls need of an event.
func (s *Stream) take(e v1.Event) {
	s.last, s.fresh = e.Seq, false
	s.state.Lock()
	if e.ExecutionID != "" && s.id == "" {
		s.id = e.ExecutionID
	}
	if e.Type == v1.EventFinished {
		s.execution = e.Execution
	}
	s.state.Unlock()
	if e.Type == v1.EventFinished {
		// A connection is used again only when its answer was read to the end.
		_, _ = io.CopyN(io.Discard, s.body, maxRest)
		s.disconnect()
		s.cancel(io.EOF)
		s.err = io.EOF
	}
}

// read returns the next line of the connection, whatever it is.
func (s *Stream) read() (v1.Event, error) {
	var e v1.Event
	line, err := readLine(s.lines, maxLine)
	switch {
	case s.ctx.Err() != nil:
		return e, context.Cause(s.ctx)
	case errors.Is(err, errLongLine):
		return e, err
	case err != nil:
		// Also where the answer ends as if all were well: there was no last event.
		return e, &brokenError{"read the stream", err}
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("read the stream: %w", err)
	}
	switch {
	case e.Type == v1.EventFinished && e.Execution == nil:
		return e, errors.New("read the stream: its last event holds no execution")
	case e.Type == v1.EventKeepalive, e.Type == v1.EventTruncated, e.Seq <= s.last+1:
		return e, nil
	}
	return e, &brokenError{"read the stream", fmt.Errorf("event %d came after %d", e.Seq, s.last)}
}

// mend makes a new connection in the place of one that ended with an error.
func (s *Stream) mend(err error) error {
	for {
		s.failed++
		pause, ok := s.mendable(err)
		if !ok || s.failed > maxReconnects {
			return err
		}
		s.c.onRetry(err, pause)
		if err := sleep(s.ctx, pause); err != nil {
			return err
		}
		if err = s.connect(); err == nil {
			return nil
		}
	}
}

// mendable tells whether a new connection may help, and after what pause.
func (s *Stream) mendable(err error) (time.Duration, bool) {
	if s.ctx.Err() != nil {
		return 0, false
	}
	if s.ExecutionID() == "" {
		return s.tries.next(err, s.failed)
	}
	var broken *brokenError
	var refused *Error
	switch {
	case errors.As(err, &refused) && refused.RetryAfter > 0:
		return min(refused.RetryAfter, maxRetryAfter), true
	case errors.As(err, &refused):
		return backoff(s.c.pause, s.failed), refused.Status >= http.StatusInternalServerError
	case errors.As(err, &broken), IsUnreachable(err):
		return backoff(s.c.pause, s.failed), true
	}
	return 0, false
}

// connect asks for the events behind the last one that is known.
func (s *Stream) connect() error {
	r := s.post
	id := s.ExecutionID()
	if id != "" {
		r = request{method: http.MethodGet, path: s.c.path("/v1/executions/%s/events", id), accept: ndjson,
			query: url.Values{"after": {strconv.FormatInt(s.last, 10)}}}
		if s.compact {
			r.query.Set("compact", "true")
		}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	quiet := time.AfterFunc(s.c.silence, cancel)
	if id == "" {
		quiet.Stop() // it may have to wait for a session
	}
	resp, err := s.c.sendJSON(ctx, r)
	if err == nil && !strings.HasPrefix(resp.Header.Get("Content-Type"), ndjson) {
		resp.Body.Close()
		err = fmt.Errorf("the daemon answers with %q in the place of events: is it older than this program?", resp.Header.Get("Content-Type"))
	}
	if err != nil {
		quiet.Stop()
		stalled := ctx.Err() != nil && s.ctx.Err() == nil
		cancel()
		if stalled {
			return &brokenError{"wait for the stream", errSilence}
		}
		return err
	}
	s.body = &liveBody{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, quiet: quiet, silence: s.c.silence}
	s.lines = bufio.NewReader(s.body)
	if given := resp.Header.Get("X-Execution-Id"); id == "" && given != "" {
		s.state.Lock()
		s.id = given
		s.state.Unlock()
	}
	return nil
}

func (s *Stream) disconnect() {
	if s.body != nil {
		s.body.Close()
		s.body = nil
	}
}

var (
	errSilence  = errors.New("nothing came for too long")
	errNoLine   = errors.New("it ended without its last event")
	errLongLine = errors.New("read the stream: an event is longer than any that a daemon sends")
)

// liveBody ends when nothing comes for too long.
type liveBody struct {
	io.ReadCloser
	ctx     context.Context
	cancel  context.CancelFunc
	quiet   *time.Timer // cancels ctx
	silence time.Duration
}

func (b *liveBody) Read(p []byte) (int, error) {
	b.quiet.Reset(b.silence)
	n, err := b.ReadCloser.Read(p)
	b.quiet.Stop()
	if err != nil && !errors.Is(err, io.EOF) && b.ctx.Err() != nil {
		err = errSilence
	}
	return n, err
}

func (b *liveBody) Close() error {
	b.quiet.Stop()
	b.cancel()
	return b.ReadCloser.Close()
}

// readLine reads a line of at most most bytes. An end in the place of one is
// errNoLine, within one io.ErrUnexpectedEOF: it was cut off.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case len(long)+len(part) > most:
			return nil, errLongLine
		case err == nil && long == nil:
			return part, nil
		case err == nil:
			return append(long, part...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
		case errors.Is(err, io.EOF) && len(long)+len(part) == 0:
			return nil, errNoLine
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}
