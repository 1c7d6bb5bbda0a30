package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "tcid/api/v1"
)

const get = "GET /v1/version HTTP/1.1\r\n"

// Whoever guesses keys is held up, and nobody else.
func TestHTTPKeyGuessing(t *testing.T) {
	d, address, _ := startTCP(t)
	from := func(ip, request string, status int) string {
		t.Helper()
		got := ask(t, dialFrom(t, ip, address), request)
		if got.Status != status {
			t.Errorf("from %s: %+v, want status %d", ip, got, status)
		}
		return got.Header.Get("Retry-After")
	}
	for n := range 100 {
		guess := get + "Host: localhost\r\nAuthorization: Bearer guess-0123456789-" + strconv.Itoa(n) + "\r\n\r\n"
		if n%2 == 1 {
			guess = get + "Host: localhost\r\n\r\n"
		}
		from("127.0.3.1", guess, 401)
	}
	const guess = get + "Host: localhost\r\nAuthorization: Bearer guess-0123456789-x\r\n\r\n"
	if wait, err := strconv.Atoi(from("127.0.3.1", guess, 429)); err != nil || wait < 1 || wait > 60 {
		t.Errorf("Retry-After is %d, %v", wait, err)
	}
	from("127.0.3.1", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200)
	from("127.0.3.1", get+authorized+"\r\n", 200) // a right key passes
	from("127.0.3.1", guess, 429)                 // and changes nothing
	from("127.0.3.2", guess, 401)
	if n := strings.Count(d.log.String(), "127.0.3.1/32"); n != 1 {
		t.Errorf("the address is in %d lines of the log, want 1", n)
	}
	for _, secret := range []string{"guess-", aliceKey} {
		if strings.Contains(d.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// What is over the limits is refused with an answer; when it is gone, there is
// room again and nothing is left.
func TestHTTPTooMany(t *testing.T) {
	d, address, _ := startTCP(t)
	open, resident := len(d.descriptors()), residentKiB(t, d.cmd.Process.Pid)
	expect := func(what string, c net.Conn, status int, code string) {
		t.Helper()
		defer c.Close()
		got := ask(t, c, get+authorized+"\r\n")
		if got.Status != status || !strings.Contains(got.Body, code) || status != 200 && got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %+v, want status %d and %q", what, got, status, code)
		}
	}
	many := func(n int, dial func() net.Conn) (closeAll func()) {
		conns := make([]net.Conn, 0, n)
		for range n {
			conns = append(conns, dial())
		}
		return func() {
			for _, c := range conns {
				_ = c.Close()
			}
		}
	}
	local := func() net.Conn { return dialUnix(t, d) }

	var closers []func()
	for n := range 8 {
		from := fmt.Sprintf("127.0.4.%d", n)
		closers = append(closers, many(128, func() net.Conn { return dialFrom(t, from, address) }))
		if n == 0 {
			expect("129 from an address", dialFrom(t, from, address), 503, "too_many_connections")
		}
	}
	expect("1,025 over TCP", dialFrom(t, "127.0.5.1", address), 503, "too_many_connections")
	expect("the Unix socket meanwhile", local(), 200, "")
	for _, closeAll := range closers {
		closeAll()
	}
	d.calm(t, open, resident, 48<<10)
	expect("TCP afterwards", dialFrom(t, "127.0.4.0", address), 200, "")

	// Requests that wait for their bodies.
	closeWaiting := many(1024, func() net.Conn {
		c := local()
		_, _ = io.WriteString(c, "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, "100 Continue") {
			t.Fatalf("%q, %v", line, err)
		}
		return c
	})
	expect("1,025 requests of one user", local(), 429, "too_many_requests")
	expect("another user's", dialFrom(t, "127.0.4.1", address), 200, "")
	closeIdle := many(4096-1024, local)
	expect("4,097 on the Unix socket", local(), 503, "too_many_connections")
	closeWaiting()
	closeIdle()
	d.calm(t, open, resident, 96<<10)
	expect("the Unix socket afterwards", local(), 200, "")
}

// dialUnix connects to the Unix socket.
func dialUnix(t *testing.T, d *daemon) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("unix", filepath.Join(d.state, "tcid.sock"), answerTime)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * answerTime))
	return c
}

// Bodies and answers of an authorized client are bounded too, and a request is
// not begun before the one ahead of it is answered.
func TestHTTPBodies(t *testing.T) {
	d, address, _ := startTCP(t)
	resident := residentKiB(t, d.cmd.Process.Pid)
	c := dialFrom(t, "127.0.0.1", address)
	const post = "POST /v1/sessions HTTP/1.1\r\nContent-Type: application/json\r\n" + authorized

	_, _ = io.WriteString(c, post+"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(c, "[1]"+strings.Repeat(get+authorized+"\r\n", 50)) // and 50 more behind it
	if got, err := readReply(r, "POST"); err != nil || got.Status != 400 {
		t.Errorf("after 100 Continue: %+v, %v", got, err)
	}
	for n := range 50 {
		if got, err := readReply(r, "GET"); err != nil || got.Status != 200 {
			t.Fatalf("pipelined request %d: %+v, %v", n, got, err)
		}
	}

	endless := dialFrom(t, "127.0.0.1", address)
	go func() {
		chunk := "10000\r\n" + strings.Repeat(" ", 0x10000) + "\r\n"
		_, err := io.WriteString(endless, post+"Transfer-Encoding: chunked\r\n\r\n")
		for err == nil {
			_, err = io.WriteString(endless, chunk)
		}
	}()
	if got, err := readReply(bufio.NewReader(endless), "POST"); err != nil || got.Status != 413 {
		t.Errorf("a body without end: %+v, %v", got, err)
	}
	t.Logf("after a body of 64 MiB, the daemon has %d KiB (%d before)", residentKiB(t, d.cmd.Process.Pid), resident)

	// Clients that take nothing of a large answer and then go away.
	s := d.create(t, v1.SessionSpec{})
	e := d.run(t, s.ID, "print('x' * (8 << 20))")
	open := len(d.descriptors())
	var gone sync.WaitGroup
	for range 8 {
		gone.Add(1)
		conn := dialUnix(t, d)
		go func() {
			defer gone.Done()
			defer conn.Close()
			_, _ = io.WriteString(conn, "GET /v1/executions/"+e.ID+" HTTP/1.1\r\nHost: x\r\n\r\n")
			_, _ = io.ReadFull(conn, make([]byte, 1000))
		}()
	}
	gone.Wait()
	d.calm(t, open, resident, 1<<20) // garbage of 8 answers and of the large body

	// A file is never shown in the daemon's name.
	d.run(t, s.ID, "open('page.html', 'w').write('<script>')")
	got := ask(t, dialUnix(t, d), "GET /v1/sessions/"+s.ID+"/files/page.html HTTP/1.1\r\nHost: x\r\n\r\n")
	if h := got.Header; got.Status != 200 || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a download: %+v", got)
	}
}
