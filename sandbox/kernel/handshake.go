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
	c, err := handshake(ctx, nc, state)
	if err != nil {
		_ = nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("shake hands with the kernel: %w", err)
	}
	return c, nil
}

// Process is a kernel's process, as far as this package needs it.
type Process interface {
	// Begun is the connection that the kernel was made with, for whoever asks
	// first, and what the kernel would say of itself; nil where there is none.
	Begun() (nc net.Conn, python, shell string)
	// Dial connects to the kernel's socket.
	Dial(ctx context.Context) (net.Conn, error)
}

// Connect begins the first connection to a kernel: the one that it was made with,
// where it has one, for which no handshake is needed.
func Connect(ctx context.Context, p Process) (*Conn, error) {
	if nc, python, shell := p.Begun(); nc != nil {
		hello := Hello{Protocol: Protocol, Python: python, Shell: shell, NextSeq: 1}
		return newConn(nc, bufio.NewReaderSize(nc, readBuffer), hello, 0), nil
	}
	nc, err := p.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return Handshake(ctx, nc)
}

func handshake(ctx context.Context, nc net.Conn, state State) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	br := bufio.NewReaderSize(nc, readBuffer)
	frame, err := readFrame(br, maxHello)
	if err != nil {
		if !errors.Is(err, ErrProtocol) {
			err = fmt.Errorf("%w: %w", ErrLost, err)
		}
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
	if !stop() {
		return nil, ctx.Err() // the deadline is set, or about to be
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
