package gate

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	v1 "tcid/api/v1"
)

// listen accepts connections within limits and keeps them open.
func listen(t *testing.T, limits Limits) (l *Listener, accepted chan net.Conn, logs *observer.ObservedLogs) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	l = Bound(inner, limits, zap.New(core))
	t.Cleanup(func() { _ = l.Close() })
	accepted = make(chan net.Conn, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	return l, accepted, logs
}

// connect dials from one of loopback's many addresses.
func connect(t *testing.T, l net.Listener, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

func expectBusy(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.WriteString(c, "GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var e v1.ErrorBody
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || e.Error.RequestID != resp.Header.Get("X-Request-Id") ||
		e.Error.Message == "" || *e.Error.Code != "too_many_connections" {
		t.Errorf("%s %v: %+v", resp.Status, resp.Header, e.Error)
	}
}

func TestLimits(t *testing.T) {
	l, accepted, logs := listen(t, Limits{Total: 3, PerAddress: 2})
	first := connect(t, l, "127.0.0.1")
	connect(t, l, "127.0.0.1")
	one, two := <-accepted, <-accepted
	expectBusy(t, connect(t, l, "127.0.0.1"))
	connect(t, l, "127.0.0.2")
	third := <-accepted
	expectBusy(t, connect(t, l, "127.0.0.3"))
	if n := logs.Len(); n != 1 {
		t.Errorf("%d lines are logged, want one within a minute", n)
	}
	for _, c := range []net.Conn{one, two, third} {
		_ = c.Close()
		_ = c.Close() // counts once
	}
	if l.total != 0 || len(l.from) != 0 {
		t.Errorf("%d are counted after all have ended: %v", l.total, l.from)
	}
	_ = first.Close()
	for range 2 {
		connect(t, l, "127.0.0.1")
		<-accepted
	}
}

// A flood over the limit is closed at once, and few are answered.
func TestFloodIsNotQueued(t *testing.T) {
	l, accepted, _ := listen(t, Limits{Total: 1})
	connect(t, l, "127.0.0.1")
	<-accepted
	begun := time.Now()
	for range 3 * maxRefusals { // none of them sends a request
		connect(t, l, "127.0.0.1")
	}
	late := connect(t, l, "127.0.0.1")
	if _, err := late.Read(make([]byte, 1)); err == nil {
		t.Error("something came back")
	}
	if took := time.Since(begun); took > refusalTime {
		t.Errorf("the last one was closed after %v", took)
	}
	time.Sleep(refusalTime + 100*time.Millisecond) // the places of those that were waited for
	expectBusy(t, connect(t, l, "127.0.0.1"))
}

func TestSilentRefusal(t *testing.T) {
	l, accepted, _ := listen(t, Limits{Total: 1, Silent: true})
	connect(t, l, "127.0.0.1")
	<-accepted
	if n, err := connect(t, l, "127.0.0.1").Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "::1": "::/64",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1": "fe80::/64",
	} {
		if got := Network(&net.TCPAddr{IP: net.ParseIP(address), Zone: ""}); got.String() != want {
			t.Errorf("%s is of %s, want %s", address, got, want)
		}
	}
	if got := Network(&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}); got.String() != "fe80::/64" {
		t.Errorf("with a zone: %s", got)
	}
	if got := Network(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("a Unix socket is of %s", got)
	}
}
