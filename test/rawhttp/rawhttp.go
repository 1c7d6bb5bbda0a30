// Package rawhttp sends requests as they are written, which no HTTP client would
// send, and reads what is answered.
package rawhttp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// dialTimeout bounds how long a connection may take on loopback.
const dialTimeout = 10 * time.Second

// Answer is one that has been read to its end.
type Answer struct {
	Status int // 0: there is none
	Header http.Header
	Body   string
}

// Dial connects from one of loopback's many addresses. The connection is of use
// for as long as patience lasts.
func Dial(from, address string, patience time.Duration) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: dialTimeout}
	c, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(patience))
}

// Ask sends a request, and reads one answer. The daemon may answer before it has
// read all of it.
func Ask(c net.Conn, request string) (Answer, error) {
	go func() { _, _ = io.WriteString(c, request) }()
	return Read(bufio.NewReader(c), Method(request))
}

// Method is a request's first word.
func Method(request string) string {
	method, _, _ := strings.Cut(request, " ")
	return method
}

// Read reads one answer to a request with the given method.
func Read(r *bufio.Reader, method string) (Answer, error) {
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return Answer{}, fmt.Errorf("read an answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, string(body)}, err
}
