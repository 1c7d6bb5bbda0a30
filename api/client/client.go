// Package client is the Go client of the daemon's native API: what the command
// line uses, and whatever else is written in Go. It speaks HTTP over the Unix
// socket or TCP and knows nothing of the daemon's insides.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	v1 "tcid/api/v1"
)

// DefaultSocket is where a daemon listens that was told nothing else.
const DefaultSocket = "/run/tcid/tcid.sock"

const (
	dialTimeout = 10 * time.Second
	idleTimeout = 30 * time.Second
	// maxAnswer bounds a JSON answer: an execution with all its output.
	maxAnswer = 512 << 20
	maxError  = 1 << 20
	maxRest   = 4 << 10 // white space after a JSON answer
	// abandonTimeout bounds the closing of a session that nobody wants any more.
	abandonTimeout = 5 * time.Second
)

// Options say where the daemon is. With neither Socket nor URL, it is at
// DefaultSocket.
type Options struct {
	Socket string // path of the Unix socket
	URL    string // such as http://127.0.0.1:8787; needs a Key
	Key    string // API key
	// Retries bounds how often a call is tried again that met a broken connection
	// or a daemon without capacity. 0: DefaultRetries; below 0: never.
	Retries int
	// OnRetry, when set, is told of each failure that is tried again, and of the
	// pause before.
	OnRetry func(err error, pause time.Duration)
	// Wrap, when set, is laid around the transport, to watch the traffic.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Validate says what is wrong with o, if anything is. New does not: its calls
// fail.
func (o Options) Validate() error {
	if o.URL == "" {
		return nil
	}
	if o.Socket != "" {
		return errors.New("a socket and a URL name two daemons; give one")
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not a daemon's URL: write it like http://127.0.0.1:8787", o.URL)
	}
	return nil
}

// Client calls one daemon. It may be used from any goroutine.
type Client struct {
	base      string
	key       string
	retries   int
	onRetry   func(error, time.Duration)
	pause     time.Duration // before the first retry
	silence   time.Duration // the longest in a stream
	http      *http.Client
	transport *http.Transport
}

// New returns a client. It connects with the first call.
func New(o Options) *Client {
	c := &Client{key: o.Key, base: strings.TrimRight(o.URL, "/"), retries: o.Retries, onRetry: o.OnRetry, pause: minPause, silence: maxSilence}
	if c.retries == 0 {
		c.retries = DefaultRetries
	}
	if c.onRetry == nil {
		c.onRetry = func(error, time.Duration) {}
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		MaxIdleConnsPerHost: 16,
		// Before the daemon does it: a request that meets a closing connection
		// can't be told from one that was begun.
		IdleConnTimeout:    idleTimeout,
		DisableCompression: true,
	}
	if o.URL == "" {
		socket := o.Socket
		if socket == "" {
			socket = DefaultSocket
		}
		c.base = "http://tcid"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialTimeout}
			conn, err := d.DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, &unreachableError{where: socket, err: err}
			}
			return conn, nil
		}
	}
	c.transport = transport
	var rt http.RoundTripper = transport
	if o.Wrap != nil {
		rt = o.Wrap(rt)
	}
	c.http = &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the API never redirects
	}}
	return c
}

// Close closes idle connections. The client can still be used.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// call sends a JSON request and reads a JSON answer into out, unless that is
// nil. It must do no harm to send it twice.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	return c.try(ctx, request{method: method, path: path, query: query, in: in, again: true}, out)
}

// start makes a POST that makes something or runs code. All tries of it have one
// key, by which the daemon knows that they are the same.
func (c *Client) start(ctx context.Context, path string, in, out any) error {
	return c.try(ctx, request{method: http.MethodPost, path: path, in: in, again: true, key: newKey(ctx)}, out)
}

// try sends a request, again where that may help, and reads its answer.
func (c *Client) try(ctx context.Context, r request, out any) error {
	if err := r.encode(); err != nil {
		return err
	}
	return c.retry(ctx, r, func() error {
		resp, err := c.sendJSON(ctx, r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if out == nil {
			out = new(json.RawMessage)
		}
		return c.read(ctx, resp, out)
	})
}

// sendJSON sends a request that was encoded.
func (c *Client) sendJSON(ctx context.Context, r request) (*http.Response, error) {
	var body io.Reader
	if r.in != nil {
		body = bytes.NewReader(r.body)
	}
	return c.send(ctx, r.method, r.path, r.query, body, func(h *http.Request) {
		if r.in != nil {
			h.Header.Set("Content-Type", "application/json")
		}
		if r.key != "" {
			h.Header.Set("Idempotency-Key", r.key)
		}
		if r.accept != "" {
			h.Header.Set("Accept", r.accept)
		}
	})
}

// read reads a JSON answer. White space may come first, as a heartbeat; JSON
// allows it.
func (c *Client) read(ctx context.Context, resp *http.Response, out any) error {
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	body := &watchedReader{Reader: resp.Body}
	bounded := &io.LimitedReader{R: body, N: maxAnswer}
	err := json.NewDecoder(bounded).Decode(out)
	switch {
	case err == nil:
		// A connection is used again only when its answer was read to the end.
		_, _ = io.CopyN(io.Discard, resp.Body, maxRest)
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case bounded.N <= 0:
		return fmt.Errorf("read the daemon's answer: it is larger than %d bytes", int64(maxAnswer))
	case body.err != nil && !errors.Is(body.err, io.EOF):
		return &brokenError{"read the daemon's answer", body.err}
	}
	return fmt.Errorf("read the daemon's answer: %w", err)
}

// send sends a request and turns an answer outside 2xx into an *Error.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body io.Reader, set func(*http.Request)) (*http.Response, error) {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if set != nil {
		set(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readError(resp)
}

func (c *Client) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var unreachable *unreachableError
	if errors.As(err, &unreachable) {
		return unreachable
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return &unreachableError{where: c.base, err: op.Err}
	}
	var certificate *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &certificate):
		return &unreachableError{where: c.base, err: fmt.Errorf("%w; SSL_CERT_FILE can name a certificate to trust", certificate)}
	case errors.As(err, &notTLS), errors.Is(err, http.ErrSchemeMismatch):
		return &unreachableError{where: c.base, err: errors.New("it does not speak TLS; write http://, or serve with --tls-cert")}
	}
	return &brokenError{"talk to the daemon", err}
}

func (c *Client) path(format string, ids ...string) string {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = url.PathEscape(id)
	}
	return fmt.Sprintf(format, args...)
}

// CreateSession makes a session and returns it once it is ready. When ctx ends
// meanwhile, the session is closed again: nobody would know it.
func (c *Client) CreateSession(ctx context.Context, spec v1.SessionSpec) (s v1.Session, err error) {
	if ctx.Err() != nil {
		return s, context.Cause(ctx)
	}
	r := request{method: http.MethodPost, path: "/v1/sessions", in: spec, again: true, key: newKey(ctx)}
	if err = c.try(ctx, r, &s); err != nil && ctx.Err() != nil {
		c.abandon(context.WithoutCancel(ctx), r)
	}
	return s, err
}

// abandon closes the session that a request was about to make: with its key it
// tells which.
func (c *Client) abandon(ctx context.Context, r request) {
	ctx, cancel := context.WithTimeout(ctx, abandonTimeout)
	defer cancel()
	var s v1.Session
	if err := c.try(ctx, r, &s); err == nil {
		_ = c.CloseSession(ctx, s.ID) // else its idle time ends it
	}
}

// GetSession returns a live session.
func (c *Client) GetSession(ctx context.Context, id string) (s v1.Session, err error) {
	return s, c.call(ctx, http.MethodGet, c.path("/v1/sessions/%s", id), nil, nil, &s)
}

// ListOptions choose sessions; zero fields choose all.
type ListOptions struct {
	State    string
	Metadata map[string]string
	Limit    int
	After    string // the Next of the page before
}

func metadataQuery(metadata map[string]string) url.Values {
	q := url.Values{}
	for k, v := range metadata {
		q.Set("metadata."+k, v)
	}
	return q
}

// ListSessions returns one page of live sessions, the oldest first.
func (c *Client) ListSessions(ctx context.Context, o ListOptions) (l v1.SessionList, err error) {
	q := metadataQuery(o.Metadata)
	if o.State != "" {
		q.Set("state", o.State)
	}
	if o.Limit > 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.After != "" {
		q.Set("after", o.After)
	}
	return l, c.call(ctx, http.MethodGet, "/v1/sessions", q, nil, &l)
}

// Sessions goes through the sessions of all pages, the oldest first. An error
// ends it.
func (c *Client) Sessions(ctx context.Context, o ListOptions) iter.Seq2[v1.Session, error] {
	return func(yield func(v1.Session, error) bool) {
		for {
			page, err := c.ListSessions(ctx, o)
			if err == nil && page.Next != nil && *page.Next == o.After {
				err = errors.New("list sessions: the daemon names the same page as the next one")
			}
			if err != nil {
				yield(v1.Session{}, err)
				return
			}
			for _, s := range page.Data {
				if !yield(s, nil) {
					return
				}
			}
			if page.Next == nil {
				return
			}
			o.After = *page.Next
		}
	}
}

// AllSessions returns the sessions of all pages.
func (c *Client) AllSessions(ctx context.Context, o ListOptions) ([]v1.Session, error) {
	var all []v1.Session
	for s, err := range c.Sessions(ctx, o) {
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// PatchSession changes a live session.
func (c *Client) PatchSession(ctx context.Context, id string, p v1.SessionPatch) (s v1.Session, err error) {
	return s, c.call(ctx, http.MethodPatch, c.path("/v1/sessions/%s", id), nil, p, &s)
}

// CloseSession ends a session and returns when nothing of it is left. One that
// has ended already is no error.
func (c *Client) CloseSession(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, c.path("/v1/sessions/%s", id), nil, nil, nil)
}

// CloseSessions ends all sessions with the given metadata, and says how many.
func (c *Client) CloseSessions(ctx context.Context, metadata map[string]string) (int, error) {
	var n v1.ClosedCount
	err := c.call(ctx, http.MethodDelete, "/v1/sessions", metadataQuery(metadata), nil, &n)
	return n.Closed, err
}

// Images lists what sessions can be made from.
func (c *Client) Images(ctx context.Context) (l v1.ImageList, err error) {
	return l, c.call(ctx, http.MethodGet, "/v1/images", nil, nil, &l)
}

// Version tells the daemon's version, what it enforces, and its limits.
func (c *Client) Version(ctx context.Context) (v v1.Version, err error) {
	return v, c.call(ctx, http.MethodGet, "/v1/version", nil, nil, &v)
}

// Health asks whether the daemon answers.
func (c *Client) Health(ctx context.Context) (h v1.Health, err error) {
	return h, c.probe(ctx, "/healthz", &h)
}

// Ready asks whether the daemon takes work.
func (c *Client) Ready(ctx context.Context) (h v1.Health, err error) {
	return h, c.probe(ctx, "/readyz", &h)
}

// probe asks once: how it is now is the question.
func (c *Client) probe(ctx context.Context, path string, out any) error {
	resp, err := c.send(ctx, http.MethodGet, path, nil, nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.read(ctx, resp, out)
}
