package kernel

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// Protocol is the version of the protocol that this package speaks.
const Protocol = 1

const (
	maxVersionText = 64
	maxShellName   = 32
)

// Hello is what a kernel says about itself when a daemon connects.
type Hello struct {
	Protocol int    `json:"protocol"`
	Python   string `json:"python"` // such as "3.11.7"
	Shell    string `json:"shell"`  // such as "plain"
	PID      int64  `json:"pid"`    // in the kernel's own namespace
	NextSeq  uint64 `json:"next_seq"`
	Acked    uint64 `json:"acked"`
	LastID   int64  `json:"last_id"`
	// Active is the request whose answer is not acknowledged, or nil.
	Active *Active `json:"active"`
}

// Active is a request whose answer the kernel still keeps.
type Active struct {
	ID   int64  `json:"id"`
	Type string `json:"type"` // KindExecute or KindCondition
	Seq  uint64 `json:"seq"`  // number of the answer, 0 while it runs
}

// State says how far a connection had come.
type State struct {
	// Seq is the number of the last event that was handled: a sink has returned
	// from it, or its call has ended. 0 means none.
	Seq uint64
}

// startedFrame is what a kernel that needs no handshake says first, letter by letter.
const startedFrame = `{"type":"started"}`

type resumeMessage struct {
	Type  string `json:"type"`
	After uint64 `json:"after"`
}

type ackMessage struct {
	Type string `json:"type"`
	Seq  uint64 `json:"seq"`
}

// Handshake begins a connection to a kernel. What an earlier daemon has not
// acknowledged comes again; see Active. It closes nc when it fails, and when ctx
// ends before it is done.
func Handshake(ctx context.Context, nc net.Conn) (*Conn, error) {
	return Resume(ctx, nc, State{})
}

// Resume is Handshake for a daemon that knows how far the connection before
// this one had come: nothing that it handled comes twice.
func Resume(ctx context.Context, nc net.Conn, state State) (*Conn, error) {
	return finish(ctx, nc, func(br *bufio.Reader) (*Conn, error) { return handshake(nc, br, state) })
}

// finish has talk done before ctx ends; else, and when it fails, it closes nc.
func finish(ctx context.Context, nc net.Conn, talk func(*bufio.Reader) (*Conn, error)) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	c, err := talk(bufio.NewReaderSize(nc, readBuffer))
	if !stop() { // the deadline is set, or about to be
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("shake hands with the kernel: %w", err)
	}
	go c.read()
	return c, nil
}

// started waits for the first word of a kernel that needs no handshake.
func started(nc net.Conn, br *bufio.Reader, python, shell string) (*Conn, error) {
	frame, err := readFirst(br)
	if err != nil {
		return nil, err
	}
	if string(frame) != startedFrame {
		return nil, protocolErrorf("the first frame does not say that the kernel has started")
	}
	return newConn(nc, br, Hello{Protocol: Protocol, Python: python, Shell: shell, NextSeq: 1}, 0), nil
}

func readFirst(br *bufio.Reader) ([]byte, error) {
	frame, err := readFrame(br, maxHello)
	if err != nil && !errors.Is(err, ErrProtocol) {
		err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	return frame, err
}

// Process is a kernel's process, as far as this package needs it.
type Process interface {
	// Begun is the connection that the kernel was made with, for whoever asks
	// first, and what hello would say of it; nil where there is none.
	Begun() (nc net.Conn, python, shell string)
	// Dial connects to the kernel's socket.
	Dial(ctx context.Context) (net.Conn, error)
}

// Connect begins the first connection to a kernel: the one that it was made with,
// where it has one. It waits until the kernel can take requests.
func Connect(ctx context.Context, p Process) (*Conn, error) {
	if nc, python, shell := p.Begun(); nc != nil {
		return finish(ctx, nc, func(br *bufio.Reader) (*Conn, error) { return started(nc, br, python, shell) })
	}
	nc, err := p.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return Handshake(ctx, nc)
}

func handshake(nc net.Conn, br *bufio.Reader, state State) (*Conn, error) {
	frame, err := readFirst(br)
	if err != nil {
		return nil, err
	}
	hello, err := decodeHello(frame)
	if err != nil {
		return nil, err
	}
	after := max(state.Seq, hello.Acked)
	if state.Seq != 0 && hello.Acked > state.Seq || after >= hello.NextSeq {
		return nil, protocolErrorf("the kernel is at event %d with %d acknowledged, the daemon at %d",
			hello.NextSeq, hello.Acked, state.Seq)
	}
	body, err := json.Marshal(resumeMessage{Type: "resume", After: after})
	if err != nil {
		return nil, fmt.Errorf("encode resume: %w", err)
	}
	if _, err := nc.Write(appendFrame(nil, body)); err != nil {
		return nil, fmt.Errorf("%w: send resume: %w", ErrLost, err)
	}
	return newConn(nc, br, hello, after), nil
}

func decodeHello(frame []byte) (Hello, error) {
	var m struct {
		Type string `json:"type"`
		Hello
	}
	if err := scan(frame); err != nil {
		return Hello{}, err
	}
	d := json.NewDecoder(bytes.NewReader(frame))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Hello{}, asProtocol(err)
	}
	h := m.Hello
	switch {
	case m.Type != "hello":
		return Hello{}, protocolErrorf("the first frame is not hello")
	case h.Protocol != Protocol:
		return Hello{}, protocolErrorf("the kernel speaks version %d of the protocol, this daemon %d: restart the kernel",
			h.Protocol, Protocol)
	case len(h.Python) > maxVersionText || len(h.Shell) > maxShellName:
		return Hello{}, protocolErrorf("a version or shell that is too long")
	case h.LastID < 0 || h.LastID >= 1<<53 || h.NextSeq >= 1<<53:
		return Hello{}, protocolErrorf("numbers out of range")
	case h.Active != nil && (answers[h.Active.Type] == "" || h.Active.ID < 1 || h.Active.ID > h.LastID):
		return Hello{}, protocolErrorf("an active request that cannot be")
	}
	return h, nil
}
