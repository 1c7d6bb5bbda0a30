package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"tcid/api/gate"
	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/daemon/session"
)

// pipes is a listener whose connections are pipes: all of them are slow, since
// nothing is buffered, and the time of the tests is not real.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

const testKey = "0123456789abcdef"

// serve runs a server in a bubble of package synctest until the test ends; a
// goroutine that the server leaves behind fails the test. Without a handler,
// all routes are there.
func serve(t *testing.T, handler http.Handler) (dial func() net.Conn) {
	t.Helper()
	keys, err := ParseKeys(strings.NewReader("alice " + testKey))
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(Options{Keys: keys, Log: zap.NewNop(), Ready: func() bool { return true },
		Sessions: session.NewManager(session.DefaultConfig(), nil, nil, zap.NewNop())})
	server := s.HTTPServer()
	if handler != nil {
		server.Handler = handler
	}
	inner := &pipes{accept: make(chan net.Conn), closed: make(chan struct{})}
	l := gate.Bound(inner, gate.Limits{Total: 10}, zap.NewNop())
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		_ = s.Sessions.Shutdown(context.Background())
		time.Sleep(time.Hour) // what still sleeps in the bubble must end before it
	})
	return func() net.Conn {
		ours, theirs := net.Pipe()
		inner.accept <- theirs
		t.Cleanup(func() { _ = ours.Close() })
		return ours
	}
}

// drip sends one byte at a time until the other end has had enough.
func drip(c net.Conn, every time.Duration) {
	for {
		time.Sleep(every)
		if _, err := c.Write([]byte("1")); err != nil {
			return
		}
	}
}

// code reads an answer and returns its status and the error's code.
func code(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Errorf("there is no answer: %v", err)
		return 0, ""
	}
	defer resp.Body.Close()
	var e v1.ErrorBody
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || e.Error.Code == nil {
		return resp.StatusCode, ""
	}
	return resp.StatusCode, *e.Error.Code
}

// Bodies that drip end with an answer, whether somebody reads them or not.
func TestSlowBodies(t *testing.T) {
	const authorized = "Host: localhost\r\nAuthorization: Bearer " + testKey + "\r\n"
	for name, c := range map[string]struct {
		head   string
		status int
		code   string
		within time.Duration
	}{
		"JSON":            {"POST /v1/sessions HTTP/1.1\r\n" + authorized, 400, "invalid_body", 60 * time.Second},
		"no key":          {"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\n", 401, "invalid_api_key", unreadTimeout},
		"other host":      {"POST /v1/sessions HTTP/1.1\r\nHost: evil.example\r\n", 421, "host_not_allowed", unreadTimeout},
		"no route":        {"POST /v9 HTTP/1.1\r\n" + authorized, 404, "not_found", unreadTimeout},
		"no session":      {"PUT /v1/sessions/ses_x/files/x HTTP/1.1\r\n" + authorized, 404, "session_not_found", unreadTimeout},
		"GET with a body": {"GET /v1/sessions HTTP/1.1\r\n" + authorized, 200, "", unreadTimeout},
		"health":          {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", 200, "", unreadTimeout},
		"OPTIONS *":       {"OPTIONS * HTTP/1.1\r\n" + authorized, 404, "not_found", unreadTimeout},
	} {
		for _, framing := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
			t.Run(name+", "+framing, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					conn := serve(t, nil)()
					begun := time.Now()
					head := c.head + "Content-Type: application/json\r\n" + framing + "\r\n\r\n"
					if strings.HasSuffix(framing, "chunked") {
						head += "fff\r\n"
					}
					if _, err := io.WriteString(conn, head); err != nil {
						t.Fatal(err)
					}
					go drip(conn, 4*time.Second)
					status, code := code(t, conn)
					if took := time.Since(begun); status != c.status || code != c.code || took > c.within+time.Second {
						t.Errorf("status %d, %q after %v; want %d, %q within %v", status, code, took, c.status, c.code, c.within)
					}
				})
			})
		}
	}
}

// A file may come as slowly as a bad line is, but not slower.
func TestSlowFiles(t *testing.T) {
	for name, c := range map[string]struct {
		piece  int
		every  time.Duration
		within time.Duration // 0: it arrives
	}{
		"bytes":      {1, 10 * time.Second, gate.StallTimeout},
		"slow line":  {4 << 10, time.Second, gate.StallTimeout},
		"usual line": {64 << 10, 6 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size = 1 << 20
				got := make(chan error, 1)
				dial := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, err := io.Copy(io.Discard, &patient{body: r.Body, control: http.NewResponseController(w)})
					got <- err
					w.WriteHeader(http.StatusNoContent)
				}))
				conn, begun := dial(), time.Now()
				go func() {
					_, _ = io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n")
					for sent := 0; sent < size; sent += c.piece {
						time.Sleep(c.every)
						if _, err := conn.Write(bytes.Repeat([]byte("x"), c.piece)); err != nil {
							return
						}
					}
				}()
				if status, _ := code(t, conn); status != http.StatusNoContent {
					t.Errorf("status %d", status)
				}
				err, took := <-got, time.Since(begun)
				if c.within == 0 && err != nil || c.within > 0 && (err == nil || took > c.within+time.Second) {
					t.Errorf("after %v: %v", took, err)
				}
				_ = conn.Close()
			})
		})
	}
}

// A client that stops reading is given up, wherever in the answer it does, and
// one that goes on is not, however long the answer is.
func TestSlowReaders(t *testing.T) {
	for name, c := range map[string]struct {
		size   int // of the answer
		piece  int // that the client reads at a time
		every  time.Duration
		within time.Duration // 0: all arrives
	}{
		"nothing":                {100 << 20, 0, time.Hour, gate.StallTimeout},
		"nothing of a short one": {100, 0, time.Hour, gate.StallTimeout},
		"bytes":                  {1 << 20, 1, time.Second, gate.StallTimeout},
		"slow line":              {1 << 20, 4 << 10, time.Second, 2 * gate.StallTimeout},
		"usual line":             {2 << 20, 32 << 10, 3 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan time.Time, 1)
				text := strings.Repeat("x", c.size)
				dial := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer func() { go func() { <-r.Context().Done(); ended <- time.Now() }() }()
					transport.WriteJSON(w, http.StatusOK, text)
				}))
				conn, begun := dial(), time.Now()
				_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
				got := 0
				for piece := make([]byte, c.piece); c.within == 0 || time.Since(begun) < 3*gate.StallTimeout; {
					time.Sleep(min(c.every, gate.StallTimeout))
					n, err := io.ReadFull(conn, piece)
					if got += n; err != nil {
						break
					}
				}
				took := (<-ended).Sub(begun)
				if c.within == 0 && got < c.size || c.within > 0 && (got >= c.size || took > c.within+time.Second) {
					t.Errorf("%d bytes of %d came; the handler took %v", got, c.size, took)
				}
			})
		})
	}
}

// Heads that drip are cut off.
func TestSlowHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := serve(t, nil)
		for _, begin := range []string{"", "GET ", "GET / HTTP/1.1\r\nHost: x\r\nX: "} {
			conn, begun := dial(), time.Now()
			if begin != "" {
				if _, err := io.WriteString(conn, begin); err != nil {
					t.Fatal(err)
				}
				go drip(conn, time.Second)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
			if took := time.Since(begun); took > headerTimeout+time.Second {
				t.Errorf("%q lives for %v", begin, took)
			}
		}
	})
}
