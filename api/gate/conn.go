package gate

import (
	"net"
	"sync"
	"time"
)

// A peer must take or bring a piece within the time, or it is given up: what a
// request holds is freed then. The time in which nobody waits for the peer
// doesn't count, so that answers may come late and rarely.
const (
	PieceBytes   = 256 << 10
	StallTimeout = 30 * time.Second
)

// Pace measures a peer by that rule.
type Pace struct {
	moved  int
	waited time.Duration
}

// Left is how long the peer may still take.
func (p *Pace) Left() time.Duration { return StallTimeout - p.waited }

// Moved counts n bytes, for which the peer was waited for.
func (p *Pace) Moved(n int, waited time.Duration) {
	p.moved += n
	p.waited += waited
	if p.moved >= PieceBytes {
		*p = Pace{}
	}
}

// conn gives a peer that doesn't read up, whatever is written to it: answers,
// errors of net/http, records of TLS.
type conn struct {
	net.Conn
	release func()

	writing sync.Mutex // one Write at a time
	pace    Pace

	mu       sync.Mutex
	deadline time.Time // that the connection's user has set; zero: none
}

func (c *conn) Write(b []byte) (written int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for first := true; first || len(b) > 0; first = false {
		piece := b[:min(len(b), PieceBytes)]
		begun := time.Now()
		if err := c.arm(begun.Add(c.left())); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(piece)
		c.pace.Moved(n, time.Since(begun))
		written += n
		if err != nil {
			return written, err
		}
		b = b[n:]
	}
	return written, nil
}

// arm sets the deadline of one write: the user's, if that is earlier.
func (c *conn) arm(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.deadline.IsZero() && c.deadline.Before(at) {
		at = c.deadline
	}
	return c.Conn.SetWriteDeadline(at)
}

func (c *conn) SetWriteDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = at
	return c.Conn.SetWriteDeadline(at)
}

func (c *conn) SetDeadline(at time.Time) error {
	if err := c.SetWriteDeadline(at); err != nil {
		return err
	}
	return c.SetReadDeadline(at)
}

// CloseWrite lets net/http close a connection without losing its last answer.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// NetConn returns the connection itself, as that of crypto/tls does.
func (c *conn) NetConn() net.Conn { return c.Conn }

func (c *conn) Close() error {
	c.release()
	return c.Conn.Close()
}
