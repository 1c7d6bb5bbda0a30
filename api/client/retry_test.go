package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "tcid/api/v1"
)

// failing answers its first requests by what it is told, one after the other,
// and then with {}.
type failing struct {
	how []string

	mu   sync.Mutex
	keys []string
}

// seen are the keys of the requests, one for each.
func (f *failing) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.keys)
}

func (f *failing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	f.mu.Lock()
	n := len(f.keys)
	f.keys = append(f.keys, r.Header.Get("Idempotency-Key"))
	f.mu.Unlock()
	how := ""
	if n < len(f.how) {
		how = f.how[n]
	}
	switch how {
	case "break":
		panic(http.ErrAbortHandler)
	case "break in the answer":
		_, _ = io.WriteString(w, ` {"id":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "full":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case "full for long":
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	case "full for good":
		w.WriteHeader(http.StatusTooManyRequests)
	case "closing":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	case "fault":
		w.WriteHeader(http.StatusInternalServerError)
	default:
		_, _ = io.WriteString(w, "{}")
	}
}

func TestRetries(t *testing.T) {
	execute := func(c *Client) error { _, err := c.Execute(t.Context(), "s", v1.ExecSpec{}); return err }
	get := func(c *Client) error { _, err := c.GetSession(t.Context(), "s"); return err }
	interrupt := func(c *Client) error { _, err := c.Interrupt(t.Context(), "s"); return err }
	ready := func(c *Client) error { _, err := c.Ready(t.Context()); return err }
	for _, c := range []struct {
		name     string
		how      string // with commas
		retries  int
		call     func(*Client) error
		requests int
		ok       bool
	}{
		{"nothing wrong", "", 0, execute, 1, true},
		{"broken", "break", 0, execute, 2, true},
		{"broken in the answer", "break in the answer,break", 0, execute, 3, true},
		{"broken for good", "break,break,break,break,break", 0, execute, 4, false},
		{"as often as told", "break,break", 1, execute, 2, false},
		{"never", "break", -1, execute, 1, false},
		{"full", "full", 0, execute, 2, true},
		{"full for long", "full for long", 0, execute, 1, false},
		{"full for good", "full for good", 0, execute, 1, false},
		{"closing", "closing", 0, get, 2, true},
		{"a fault", "fault", 0, execute, 1, false},
		{"without a key", "break", 0, interrupt, 1, false},
		{"without a key, full", "full", 0, interrupt, 2, true},
		{"reading", "break,break in the answer", 0, get, 3, true},
		{"a probe", "closing", 0, ready, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &failing{how: strings.Split(c.how, ",")}
			s := httptest.NewServer(f)
			defer s.Close()
			client := New(Options{URL: s.URL, Retries: c.retries})
			defer client.Close()
			err := c.call(client)
			keys := f.seen()
			if len(keys) != c.requests || (err == nil) != c.ok {
				t.Errorf("%d requests, %v; want %d, success: %t", len(keys), err, c.requests, c.ok)
			}
			if len(slices.Compact(keys)) != 1 {
				t.Errorf("the keys are %q", keys)
			}
		})
	}
}

// Two calls are two: their keys differ.
func TestKeysDiffer(t *testing.T) {
	f := &failing{}
	c := overTCP(t, f)
	for range 10 {
		if _, err := c.Execute(t.Context(), "s", v1.ExecSpec{}); err != nil {
			t.Fatal(err)
		}
	}
	keys := f.seen()
	if different := len(slices.Compact(slices.Sorted(slices.Values(keys)))); different != 10 || len(keys[0]) < 20 {
		t.Errorf("the keys are %q", keys)
	}
}

func TestKeyOfTheCaller(t *testing.T) {
	f := &failing{how: []string{"break", "", ""}}
	c := overTCP(t, f)
	ctx := WithKey(t.Context(), "mine")
	for range 2 {
		if _, err := c.Execute(ctx, "s", v1.ExecSpec{}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"mine", "mine", "mine"}, f.seen()); diff != "" {
		t.Error(diff)
	}
}

// A session that is made for a caller who has gone is closed.
func TestCreateSessionThatIsAbandoned(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var requests, keys []string
	var mu sync.Mutex
	c := overUnix(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		requests, keys = append(requests, r.Method+" "+r.URL.Path), append(keys, r.Header.Get("Idempotency-Key"))
		first := len(requests) == 1
		mu.Unlock()
		if first {
			cancel()
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, `{"id":"ses_1"}`)
	}))
	if _, err := c.CreateSession(ctx, v1.SessionSpec{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"POST /v1/sessions", "POST /v1/sessions", "DELETE /v1/sessions/ses_1"}, requests); diff != "" || keys[0] != keys[1] {
		t.Errorf("keys %q (-want +got):\n%s", keys, diff)
	}
	if _, err := c.CreateSession(ctx, v1.SessionSpec{}); !errors.Is(err, context.Canceled) || len(requests) != 3 {
		t.Errorf("%v after %q", err, requests)
	}
}

// A daemon that has just ended may come back: it refuses connections, or its
// socket is dead. What was begun before must not be run by the next one.
func TestRetryOfAnUnreachableDaemon(t *testing.T) {
	refused := &unreachableError{err: syscall.ECONNREFUSED}
	gone := &unreachableError{err: syscall.ENOENT}
	broken := &brokenError{"talk", io.ErrUnexpectedEOF}
	for _, c := range []struct {
		name string
		r    request
		errs []error
		want bool // after the last of them
	}{
		{"before anything", request{again: true, key: "k"}, []error{refused}, true},
		{"still before", request{again: true, key: "k"}, []error{refused, refused}, true},
		{"never there", request{again: true, key: "k"}, []error{gone}, false},
		{"no permission", request{again: true}, []error{&unreachableError{err: syscall.EACCES}}, false},
		{"begun", request{again: true, key: "k"}, []error{broken, refused}, false},
		{"begun, and answers", request{again: true, key: "k"}, []error{broken, broken}, true},
		{"reads only", request{again: true}, []error{broken, refused}, true},
		{"must not be sent twice", request{}, []error{broken}, false},
		{"was not sent", request{}, []error{refused}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, got := tries{request: c.r}, false
			for i, err := range c.errs {
				_, got = tr.next(err, i+1)
			}
			if got != c.want {
				t.Errorf("another try: %t, want %t", got, c.want)
			}
		})
	}
	// And in real: the daemon comes while the client waits.
	socket := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	served := make(chan *http.Server, 1)
	time.AfterFunc(minPause/2, func() {
		_ = syscall.Unlink(socket)
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Error(err)
			return
		}
		s := &http.Server{Handler: &failing{}}
		served <- s
		_ = s.Serve(l)
	})
	c := New(Options{Socket: socket})
	defer c.Close()
	if _, err := c.CreateSession(t.Context(), v1.SessionSpec{}); err != nil {
		t.Error(err)
	}
	(<-served).Close()
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Retries: 8})
		start, calls := time.Now(), 0
		err := c.retry(t.Context(), request{again: true}, func() error {
			calls++
			return &brokenError{"x", io.EOF}
		})
		// 0.1, 0.2, … 3.2 s, and twice the longest.
		if took := time.Since(start); took != 16300*time.Millisecond || calls != 9 || !errors.Is(err, io.EOF) {
			t.Errorf("%d calls in %v, %v", calls, took, err)
		}
	})
}
