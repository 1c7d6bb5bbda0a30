package gate

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"tcid/api/transport"
	v1 "tcid/api/v1"
)

const (
	maxRefusals = 64          // that get an answer at the same time
	refusalTime = time.Second // for one of them
	requestPeek = 4 << 10
)

var tooMany = transport.Error{
	Status: http.StatusServiceUnavailable, Type: transport.TypeServer, Code: "too_many_connections",
	Message: "too many connections are open; close some, or try again later", RetryAfter: time.Second,
}

// refuse ends a connection that is over the limits. Some peers get an answer, as
// long as few are owed one: telling each could keep the daemon as busy as the
// connections would.
func (l *Listener) refuse(c net.Conn) {
	if l.limits.Silent { // an answer would need a handshake first
		_ = c.Close()
		return
	}
	select {
	case l.refusals <- struct{}{}:
		go func() {
			defer func() { <-l.refusals }()
			answerBusy(c)
		}()
	default:
		_ = c.Close()
	}
}

// answerBusy waits for the request, since clients take an answer that comes
// before it for a broken connection, and reads on afterwards, since closing a
// connection with something unread in it would reset it and lose the answer.
func answerBusy(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(refusalTime))
	if _, err := c.Read(make([]byte, requestPeek)); err != nil {
		return
	}
	if _, err := c.Write(busyAnswer()); err != nil {
		return
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, c)
}

func busyAnswer() []byte {
	id := "req_" + rand.Text()
	body, err := json.Marshal(v1.ErrorBody{Error: v1.Error{Message: tooMany.Message, Type: tooMany.Type, Code: &tooMany.Code, RequestID: id}})
	if err != nil { // the wire types always marshal
		panic(fmt.Errorf("encode an answer: %w", err))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nConnection: close\r\nRetry-After: %.0f\r\nX-Request-Id: %s\r\n"+
		"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s\n",
		tooMany.Status, http.StatusText(tooMany.Status), tooMany.RetryAfter.Seconds(), id, len(body)+1, body)
	return b.Bytes()
}
