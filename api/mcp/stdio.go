package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// drainTimeout is how long requests are answered after the end of the input.
const drainTimeout = time.Second

// Serve speaks with one client over a pair of streams, a message a line, until
// in ends or ctx does. It closes what the client has made before it returns.
func Serve(ctx context.Context, d Daemon, o Options, in io.Reader, out io.Writer) (err error) {
	c := newConnection(d, o, "")
	closeAll := func() error {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return c.Close(closing)
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	session, err := c.server.Connect(context.WithoutCancel(ctx), &drainedTransport{&sdk.IOTransport{
		Reader: io.NopCloser(in), Writer: keptOpen{out}, MaxLineLength: MaxMessage}}, nil)
	if err != nil {
		return fmt.Errorf("serve the client: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = closeAll() })()
	err = session.Wait()
	if err == nil || ctx.Err() != nil || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		return nil // a client that has gone is an end as well
	}
	return fmt.Errorf("read from the client: %w", err)
}

type keptOpen struct{ io.Writer }

func (keptOpen) Close() error { return nil }

// drainedTransport is one whose end of the input waits for the answers to what came
// before: the SDK takes it for the end of the output too.
type drainedTransport struct{ sdk.Transport }

func (t *drainedTransport) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := t.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &drainedConnection{Connection: c}, nil
}

type drainedConnection struct {
	sdk.Connection
	unanswered sync.WaitGroup
}

func (d *drainedConnection) Read(ctx context.Context) (jsonrpc.Message, error) {
	m, err := d.Connection.Read(ctx)
	if err == nil {
		if r, ok := m.(*jsonrpc.Request); ok && r.IsCall() {
			d.unanswered.Add(1)
		}
		return m, nil
	}
	answered := make(chan struct{})
	go func() {
		d.unanswered.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(drainTimeout):
	}
	return nil, err
}

func (d *drainedConnection) Write(ctx context.Context, m jsonrpc.Message) error {
	err := d.Connection.Write(ctx, m)
	if r, ok := m.(*jsonrpc.Response); ok && r.ID.IsValid() {
		d.unanswered.Done()
	}
	return err
}
