package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "tcid/api/v1"
	"tcid/test/rawhttp"
)

const (
	aliceKey   = "0123456789abcdef"
	authorized = "Host: localhost\r\nAuthorization: Bearer " + aliceKey + "\r\n"
	answerTime = 10 * time.Second // the most that a hostile request may take
)

// startTCP runs a daemon that listens on TCP too, and knows alice.
func startTCP(t *testing.T, args ...string) (d *daemon, address, keys string) {
	t.Helper()
	keys = filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("alice "+aliceKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address = "127.0.0.1:" + freePort(t)
	d = start(t, append([]string{"--listen", address, "--key-file", keys, "--pool", "0"}, args...)...)
	return d, address, keys
}

// dialFrom connects from one of loopback's many addresses.
func dialFrom(t *testing.T, from, address string) net.Conn {
	t.Helper()
	c, err := rawhttp.Dial(from, address, 2*answerTime)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// readReply reads one answer and checks what all have in common.
func readReply(r *bufio.Reader, method string) (rawhttp.Answer, error) {
	got, err := rawhttp.Read(r, method)
	return got, errors.Join(err, common(got))
}

// common checks what all answers have in common.
func common(got rawhttp.Answer) error {
	for header := range got.Header {
		if strings.HasPrefix(header, "Access-Control-") {
			return fmt.Errorf("the answer has %s", header)
		}
	}
	if got.Header.Get("X-Request-Id") != "" && got.Header.Get("X-Content-Type-Options") != "nosniff" {
		return fmt.Errorf("an answer of the API has no nosniff: %v", got.Header)
	}
	return nil
}

// ask sends bytes and returns the answer.
func ask(t *testing.T, c net.Conn, request string) rawhttp.Answer {
	t.Helper()
	got, err := rawhttp.Ask(c, request)
	if err := errors.Join(err, common(got)); err != nil {
		t.Fatal(err)
	}
	return got
}

// calm waits until the daemon has as much open as before, and no more memory.
func (d *daemon) calm(t *testing.T, open, residentBefore, growth int) {
	t.Helper()
	now := 0
	for deadline := time.Now().Add(answerTime); ; time.Sleep(20 * time.Millisecond) {
		if now = len(d.descriptors()); now <= open || time.Now().After(deadline) {
			break
		}
	}
	if now > open {
		t.Errorf("%d descriptors are open afterwards, %d before:\n%s", now, open, strings.Join(d.descriptors(), "\n"))
	}
	resident := residentKiB(t, d.cmd.Process.Pid)
	t.Logf("the daemon has %d descriptors (%d before) and %d KiB (%d before)", now, open, resident, residentBefore)
	if resident > residentBefore+growth {
		t.Errorf("the daemon has grown from %d to %d KiB", residentBefore, resident)
	}
}

// Every hostile request gets a clear answer or the end of the connection within
// a bounded time, and leaves nothing behind.
func TestHTTPHostileRequests(t *testing.T) {
	t.Parallel() // with the other one that waits
	d, address, _ := startTCP(t)
	s, err := d.CreateSession(callContext(t), v1.SessionSpec{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // what grows with the first connections only
		ask(t, dialFrom(t, "127.0.0.1", address), "GET /v1/version HTTP/1.1\r\nConnection: close\r\n"+authorized+"\r\n")
	}
	open, resident := len(d.descriptors()), residentKiB(t, d.cmd.Process.Pid)
	const post = "POST /v1/sessions HTTP/1.1\r\nContent-Type: application/json\r\n" + authorized
	const stranger = "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	const tooLarge, cut = http.StatusRequestHeaderFieldsTooLarge, 0 // cut: no answer, but the end
	cases := []struct {
		name, request string
		status        int
		text          string // somewhere in the answer
		endless       string // goes on with this, as fast as it can
		drip          bool   // goes on with a byte per second
	}{
		{name: "1 MiB header", request: "GET /v1/version HTTP/1.1\r\n" + authorized + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", status: tooLarge},
		{name: "100,000 header lines", request: "GET /v1/version HTTP/1.1\r\n" + authorized + strings.Repeat("X: y\r\n", 100_000) + "\r\n", status: tooLarge},
		{name: "endless header", request: "GET /v1/version HTTP/1.1\r\n", status: tooLarge, endless: "X: y\r\n"},
		{name: "1 MiB path", request: "GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\n" + authorized + "\r\n", status: tooLarge},
		{name: "slow head", request: "GET /v1/version HTTP/1.1\r\nX: ", status: cut, drip: true},
		{name: "no head", request: "", status: cut},
		{name: "slow body, no key", request: stranger + "Content-Length: 1000\r\n\r\n", status: 401, text: "invalid_api_key", drip: true},
		{name: "slow chunks, no key", request: stranger + "Transfer-Encoding: chunked\r\n\r\nfff\r\n", status: 401, text: "invalid_api_key", drip: true},
		{name: "endless chunks, no key", request: stranger + "Transfer-Encoding: chunked\r\n\r\n", status: 401, endless: "4\r\nabcd\r\n"},
		{name: "1 GiB announced, no key", request: stranger + "Content-Length: 1073741824\r\n\r\n", status: 401, text: "invalid_api_key"},
		{name: "endless chunk size", request: post + "Transfer-Encoding: chunked\r\n\r\n", status: 400, endless: "0"},
		{name: "endless chunk extension", request: post + "Transfer-Encoding: chunked\r\n\r\n1;", status: 400, endless: "x"},
		{name: "tiny chunks with long extensions", request: post + "Transfer-Encoding: chunked\r\n\r\n", status: 400, endless: "1;" + strings.Repeat("x", 1000) + "\r\na\r\n"},
		{name: "endless trailer", request: post + "Transfer-Encoding: chunked\r\n\r\n0\r\n", status: 400, endless: "X: y\r\n"},
		{name: "two lengths", request: post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}", status: 400},
		{name: "length with a sign", request: post + "Content-Length: +2\r\n\r\n{}", status: 400},
		{name: "huge length", request: post + "Content-Length: 99999999999999999999\r\n\r\n{}", status: 400},
		{name: "length and chunks", request: "POST /v9 HTTP/1.1\r\n" + authorized + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 404},
		{name: "unknown transfer encoding", request: post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", status: 501},
		{name: "two transfer encodings", request: post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 501},
		{name: "absolute path to another host", request: "GET http://evil.example/v1/version HTTP/1.1\r\n" + authorized + "\r\n", status: 421, text: "host_not_allowed"},
		{name: "absolute path to us", request: "GET http://localhost/v1/version HTTP/1.1\r\n" + authorized + "\r\n", status: 200},
		{name: "bare line feeds", request: "GET /v1/version HTTP/1.1\n" + strings.ReplaceAll(authorized, "\r", "") + "\n", status: 200},
		{name: "bare carriage return", request: "GET /v1/version HTTP/1.1\r\n" + authorized + "X: a\rb\r\n\r\n", status: 400},
		{name: "NUL in a header", request: "GET /v1/version HTTP/1.1\r\n" + authorized + "X: a\x00b\r\n\r\n", status: 400},
		{name: "space before a colon", request: "GET /v1/version HTTP/1.1\r\n" + authorized + "X : a\r\n\r\n", status: 400},
		{name: "no host", request: "GET /v1/version HTTP/1.1\r\n\r\n", status: 400},
		{name: "no host, old", request: "GET /v1/version HTTP/1.0\r\n\r\n", status: 421},
		{name: "two hosts", request: "GET /v1/version HTTP/1.1\r\nHost: evil.example\r\n" + authorized + "\r\n", status: 400},
		{name: "garbage", request: "\x00\x01\x02\x03\r\n\r\n", status: 400},
		{name: "TLS", request: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n", status: 400},
		{name: "no version", request: "GET /v1/version\r\n\r\n", status: 400},
		{name: "version 3", request: "GET /v1/version HTTP/3.0\r\n" + authorized + "\r\n", status: 505},
		{name: "HTTP/2", request: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 421},
		{name: "unknown expectation", request: post + "Expect: 200-ok\r\nContent-Length: 2\r\n\r\n", status: 417},
		{name: "expects to go on, no key", request: stranger + "Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n", status: 401},
		{name: "upgrade", request: "GET /v1/version HTTP/1.1\r\n" + authorized + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", status: 200},
		{name: "upgrade to HTTP/2", request: "GET /v1/version HTTP/1.1\r\n" + authorized + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", status: 200},
		{name: "CONNECT", request: "CONNECT localhost:22 HTTP/1.1\r\n" + authorized + "\r\n", status: 404, text: "not_found"},
		{name: "CONNECT elsewhere", request: "CONNECT evil.example:22 HTTP/1.1\r\n" + authorized + "\r\n", status: 421},
		{name: "TRACE", request: "TRACE /v1/version HTTP/1.1\r\n" + authorized + "Cookie: secret\r\n\r\n", status: 405, text: "method_not_allowed"},
		{name: "OPTIONS *", request: "OPTIONS * HTTP/1.1\r\n" + authorized + "\r\n", status: 404, text: "not_found"},
		{name: "OPTIONS *, no key", request: "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n", status: 401, drip: true},
		{name: "leave to ask", request: "OPTIONS /v1/sessions HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n", status: 403, text: "origin_not_allowed"},
		{name: "picture in a page", request: "GET /v1/version HTTP/1.1\r\n" + authorized + "Sec-Fetch-Site: cross-site\r\n\r\n", status: 403, text: "origin_not_allowed"},
		{name: "no such debugging", request: "GET /debug/pprof/ HTTP/1.1\r\n" + authorized + "\r\n", status: 404, text: "not_found"},
	}
	var all sync.WaitGroup
	for i, c := range cases {
		conn := dialFrom(t, fmt.Sprintf("127.0.2.%d", i+1), address) // wrong keys are counted by address
		all.Add(1)
		go func() {
			defer all.Done()
			defer conn.Close()
			begun := time.Now()
			go func() {
				_, err := io.WriteString(conn, c.request)
				for err == nil && (c.drip || c.endless != "") {
					if c.drip {
						time.Sleep(time.Second)
						_, err = io.WriteString(conn, "1")
					} else {
						_, err = io.WriteString(conn, strings.Repeat(c.endless, 100))
					}
				}
			}()
			got, err := rawhttp.Read(bufio.NewReader(conn), rawhttp.Method(c.request))
			if took := time.Since(begun); took > answerTime {
				t.Errorf("%s: the end came after %v", c.name, took)
			}
			switch {
			case c.status != cut && common(got) != nil:
				t.Errorf("%s: %v", c.name, common(got))
			case c.status == cut && (got.Status != 0 || errors.Is(err, os.ErrDeadlineExceeded)):
				t.Errorf("%s: %+v, %v, want the connection's end", c.name, got, err)
			case c.status != cut && (got.Status != c.status || !strings.Contains(got.Body, c.text)):
				t.Errorf("%s: %+v, %v, want status %d and %q", c.name, got, err, c.status, c.text)
			case strings.Contains(got.Body, "secret"):
				t.Errorf("%s: the request comes back: %s", c.name, got.Body)
			}
		}()
	}
	all.Wait()
	d.calm(t, open, resident, 16<<10)
	if e := d.run(t, s.ID, "1 + 1"); string(e.Result) != "2" {
		t.Errorf("afterwards, 1 + 1 = %s", e.Result)
	}
}
