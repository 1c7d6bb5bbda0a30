package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// DefaultRetries is how often a call is tried again, unless Options say
// otherwise.
const DefaultRetries = 3

const (
	// The pause before a new try doubles, up to so many times the first.
	minPause   = 100 * time.Millisecond
	mostPauses = 50
	// maxRetryAfter is the longest wait that a daemon may ask for; beyond it the
	// caller decides.
	maxRetryAfter = 30 * time.Second
)

// request is a call that may be sent several times.
type request struct {
	method, path string
	query        url.Values
	in           any
	body         []byte // in as JSON
	accept       string
	key          string // by which the daemon knows all tries as one
	again        bool   // to be sent twice does no harm
}

func (r *request) encode() error {
	if r.in == nil {
		return nil
	}
	var err error
	if r.body, err = json.Marshal(r.in); err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	return nil
}

type keyKey struct{}

// WithKey gives the Idempotency-Key of the calls with the context it returns,
// for programs that try a call again themselves, perhaps after their own end.
// Without it, each call makes a key of its own. The key is a word of at most 255
// visible ASCII characters.
func WithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyKey{}, key)
}

// newKey makes an Idempotency-Key, unless the context has one.
func newKey(ctx context.Context) string {
	if key, ok := ctx.Value(keyKey{}).(string); ok {
		return key
	}
	return rand.Text()
}

// retry calls once until it works, can't be helped, or was tried often enough.
func (c *Client) retry(ctx context.Context, r request, once func() error) error {
	t := tries{request: r, pause: c.pause}
	for n := 1; ; n++ {
		err := once()
		pause, ok := t.next(err, n)
		if err == nil || !ok || n > c.retries {
			return err
		}
		c.onRetry(err, pause)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// tries decides whether a request is sent again.
type tries struct {
	request
	pause time.Duration // the first
	broke bool
}

// next tells whether the failure of try n, from 1, may be mended by another one,
// and after what pause.
//
// A daemon knows keys as long as it lives. Where a request with a key was begun
// and the daemon is gone then, the next daemon would run it anew: the error is
// the answer.
func (t *tries) next(err error, n int) (time.Duration, bool) {
	var refused *Error
	var broken *brokenError
	switch {
	case err == nil:
		return 0, false
	case errors.As(err, &refused):
		// Nothing was started.
		full := refused.Status == http.StatusTooManyRequests || refused.Status == http.StatusServiceUnavailable
		return refused.RetryAfter, full && refused.RetryAfter > 0 && refused.RetryAfter <= maxRetryAfter
	case IsUnreachable(err):
		return backoff(t.pause, n), mayComeBack(err) && (!t.broke || t.key == "")
	case errors.As(err, &broken):
		t.broke = true
		return backoff(t.pause, n), t.again
	}
	return 0, false
}

// mayComeBack tells whether a daemon that can't be reached might be in a moment.
func mayComeBack(err error) bool {
	var timeout net.Error
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EAGAIN) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// backoff is the pause after try n, from 1.
func backoff(first time.Duration, n int) time.Duration {
	pause := first
	for ; n > 1 && pause < mostPauses*first; n-- {
		pause *= 2
	}
	return min(pause, mostPauses*first)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// brokenError is a connection that ended before its answer did.
type brokenError struct {
	at  string
	err error
}

func (e *brokenError) Error() string { return fmt.Sprintf("%s: %v", e.at, e.err) }

func (e *brokenError) Unwrap() error { return e.err }

// watchedReader keeps the error that ended it, which a decoder hides.
type watchedReader struct {
	io.Reader
	err error
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		r.err = err
	}
	return n, err
}
