package kernel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// ackBytes is how much may arrive before it is acknowledged.
	ackBytes = 256 << 10
	// ackDelay is how long an answer's acknowledgement waits to leave together
	// with the next request: by itself it costs a wake-up on both sides.
	ackDelay = 20 * time.Millisecond
	// ackTimeout bounds how long a kernel may refuse to read. A kernel reads
	// even while it is blocked by its own output.
	ackTimeout = 30 * time.Second
	// readBuffer is for small frames; large ones are read where they go.
	readBuffer = 8 << 10
)

// Conn is a connection to a kernel. A goroutine of its own reads; the methods
// may be called from any goroutine, but the kernel answers one request at a
// time, so a second concurrent one gets ErrBusy.
type Conn struct {
	nc    net.Conn
	br    *bufio.Reader
	hello Hello
	done  chan struct{} // closed when the reader has ended

	writeMu  sync.Mutex
	ackDue   uint64 // acknowledged by the next write; 0: nothing is due
	ackTimer *time.Timer

	mu      sync.Mutex
	changed *sync.Cond // call or err has changed
	call    *call      // the request whose answer is awaited
	orphan  *Active    // a request of the connection before, not yet attached
	lastID  int64
	seq     uint64 // of the last event that was handled
	err     error  // why the Conn ended
	unacked int    // reader only
}

// call is a request that waits for its answer.
type call struct {
	id     int64
	kind   string
	sink   func(Event) // nil: events are dropped
	answer *message
	done   chan struct{} // closed with answer or Conn.err set
}

// newConn is a connection that reads nothing yet.
func newConn(nc net.Conn, br *bufio.Reader, hello Hello, after uint64) *Conn {
	c := &Conn{
		nc: nc, br: br, hello: hello, done: make(chan struct{}),
		lastID: hello.LastID, seq: after,
	}
	if a := hello.Active; a != nil && (a.Seq == 0 || a.Seq > after) {
		c.orphan = a
	}
	c.changed = sync.NewCond(&c.mu)
	c.ackTimer = time.AfterFunc(ackDelay, c.ackLate)
	c.ackTimer.Stop()
	return c
}

// Hello is what the kernel said about itself.
func (c *Conn) Hello() Hello { return c.hello }

// Done is closed when the connection has ended, for whatever reason.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err says why the connection ended: ErrProtocol, ErrLost, ErrClosed or a
// context's error, wrapped. It is nil while the connection lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection, not the kernel, and waits for the reader. It must
// not be called from a sink.
func (c *Conn) Close() error {
	// A write under way has no deadline of its own, and whoever holds the other
	// end, be it a child of a dead kernel, may never read.
	bound := time.AfterFunc(closeTimeout, func() { c.fail(ErrClosed) })
	_ = c.flush(closeTimeout) // else the next daemon gets the last answer again
	bound.Stop()
	c.fail(ErrClosed)
	<-c.done
	return nil
}

// State is what a later connection needs to continue after this one.
func (c *Conn) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return State{Seq: c.seq}
}

// fail ends the connection; the first reason stays.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.changed.Broadcast()
	c.mu.Unlock()
	_ = c.nc.Close()
}

// read takes frames until the connection ends.
func (c *Conn) read() {
	for {
		frame, err := readFrame(c.br, frameLimit)
		if err == nil {
			err = c.handle(frame)
		} else if !errors.Is(err, ErrProtocol) {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: it ended, most likely because the kernel died", ErrLost)
			} else {
				err = fmt.Errorf("%w: %w", ErrLost, err)
			}
		}
		if err != nil {
			c.fail(err)
			break
		}
	}
	c.ackTimer.Stop()
	c.mu.Lock()
	if c.call != nil {
		close(c.call.done)
		c.call = nil
	}
	c.mu.Unlock()
	close(c.done)
}

// handle takes one event or answer.
func (c *Conn) handle(frame []byte) error {
	m, err := c.message(frame)
	if err != nil {
		return err
	}
	if *m.Seq != c.seq+1 {
		return protocolErrorf("event %d follows %d", *m.Seq, c.seq)
	}
	call, err := c.receiver()
	if err != nil {
		return err
	}
	final := isAnswer(m.Type)
	if final && (*m.ID != call.id || m.Type != answers[call.kind]) {
		return protocolErrorf("an answer to another request")
	}
	if !final && call.sink != nil {
		call.sink(m.event())
	}
	c.mu.Lock()
	c.seq = *m.Seq
	c.mu.Unlock()
	if c.unacked += len(frame); final || c.unacked >= ackBytes {
		if err := c.ack(final); err != nil {
			return err
		}
	}
	if final {
		// Not before the acknowledgement is due: whoever has the answer may
		// close the connection at once.
		c.mu.Lock()
		call.answer = m
		c.call = nil
		close(call.done)
		c.mu.Unlock()
	}
	return nil
}

func isAnswer(kind string) bool {
	switch kind {
	case typeDone, typeVerdict, typeCompletions, typeCompleteness:
		return true
	}
	return false
}

// receiver is the call that an event belongs to. Events of a request that the
// last connection made wait until someone attaches.
func (c *Conn) receiver() (*call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.call == nil && c.orphan != nil && c.err == nil {
		c.changed.Wait()
	}
	switch {
	case c.err != nil:
		return nil, c.err
	case c.call == nil:
		return nil, protocolErrorf("an event while nothing runs")
	}
	return c.call, nil
}

// ack acknowledges what has been handled, now or with the next write.
func (c *Conn) ack(later bool) error {
	c.unacked = 0
	c.writeMu.Lock()
	c.ackDue = c.seq
	if later {
		c.ackTimer.Reset(ackDelay)
	}
	c.writeMu.Unlock()
	if later {
		return nil
	}
	return c.flush(ackTimeout)
}

// ackLate is the timer's function.
func (c *Conn) ackLate() {
	if err := c.flush(ackTimeout); err != nil {
		c.fail(err)
	}
}

// flush writes the acknowledgement that is due.
func (c *Conn) flush(timeout time.Duration) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.ackDue == 0 {
		return nil
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	if err := c.write(nil); err != nil {
		return err
	}
	if err := c.nc.SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return nil
}

// write writes the acknowledgement that is due and a request's body, if any, in
// one piece. The caller holds writeMu.
func (c *Conn) write(body []byte) error {
	var out []byte
	if c.ackDue != 0 {
		ack, err := json.Marshal(ackMessage{Type: "ack", Seq: c.ackDue})
		if err != nil {
			return fmt.Errorf("encode an acknowledgement: %w", err)
		}
		out = appendFrame(make([]byte, 0, 2*headSize+len(ack)+len(body)), ack)
		c.ackDue = 0
		c.ackTimer.Stop()
	}
	if body != nil {
		out = appendFrame(out, body)
	}
	if _, err := c.nc.Write(out); err != nil {
		return fmt.Errorf("%w: write: %w", ErrLost, err)
	}
	return nil
}

// send makes a call and writes its request.
func (c *Conn) send(ctx context.Context, kind string, sink func(Event), request func(id int64) any) (*call, error) {
	c.mu.Lock()
	switch {
	case c.err != nil:
		err := c.err
		c.mu.Unlock()
		return nil, err
	case c.call != nil || c.orphan != nil:
		c.mu.Unlock()
		return nil, ErrBusy
	}
	id := c.lastID + 1
	k := &call{id: id, kind: kind, sink: sink, done: make(chan struct{})}
	c.call = k
	c.mu.Unlock()

	body, err := json.Marshal(request(id))
	if err == nil && len(body) > MaxRequest {
		err = fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(body), MaxRequest)
	}
	if err != nil {
		c.mu.Lock()
		if c.call == k {
			c.call = nil
		}
		c.mu.Unlock()
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	c.mu.Lock()
	c.lastID = id
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { c.fail(ctx.Err()) })
	defer stop()
	c.writeMu.Lock()
	err = c.write(body)
	c.writeMu.Unlock()
	if err != nil {
		c.fail(err)
	}
	return k, nil
}

// wait waits for a call's answer. When it returns, the call's sink has returned
// from its last event.
func (c *Conn) wait(ctx context.Context, k *call) (*message, error) {
	select {
	case <-k.done:
	case <-ctx.Done():
		c.fail(ctx.Err())
		<-k.done
	}
	if k.answer == nil {
		return nil, c.Err()
	}
	return k.answer, nil
}
