package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Serve speaks with one client over a pair of streams, a message a line, until
// in ends or ctx does. It closes what the client has made before it returns.
func Serve(ctx context.Context, d Daemon, o Options, in io.Reader, out io.Writer) (err error) {
	c := NewConnection(d, o)
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, c.Close(closing))
	}()
	w := &lineWriter{out: out, broken: make(chan struct{})}
	type read struct {
		line []byte
		err  error
	}
	reads := make(chan read)
	go func() {
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			line, err := readLine(r)
			select {
			case reads <- read{line, err}:
			case <-c.ctx.Done():
				return
			}
			if err != nil && !errors.Is(err, errTooLong) {
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.broken: // nobody listens any more
			return nil
		case got := <-reads:
			switch {
			case errors.Is(got.err, errTooLong):
				w.write(failed(nil, refuse(codeRequest, "the message is larger than %d MiB", MaxMessage>>20)))
			case got.err != nil && !errors.Is(got.err, io.EOF):
				return fmt.Errorf("read from the client: %w", got.err)
			default:
				serveLine(c, got.line, w)
			}
			if got.err != nil && !errors.Is(got.err, errTooLong) {
				return nil
			}
		}
	}
}

// serveLine does what one line asks for. What may take long is done beside the
// lines that follow, a cancellation among them.
func serveLine(c *Connection, line []byte, w *lineWriter) {
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	m, refused := parse(line)
	if refused != nil {
		w.write(failed(nil, refused))
		return
	}
	if !m.isCall() {
		return // an answer, though nothing was asked
	}
	do := func() {
		if a := c.handle(context.Background(), m, func(n notification) { w.write(n) }); a != nil {
			w.write(a)
		}
	}
	if m.Method == "tools/call" || m.Method == "resources/read" || m.Method == "resources/list" {
		go do()
		return
	}
	do()
}

var errTooLong = errors.New("the line is too long")

// readLine reads up to the end of a line. One that is too long is skipped.
func readLine(r *bufio.Reader) (line []byte, err error) {
	tooLong := false
	for {
		piece, err := r.ReadSlice('\n')
		if len(line)+len(piece) > MaxMessage {
			tooLong, line = true, nil
		}
		if !tooLong {
			line = append(line, piece...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil && tooLong:
			return nil, errTooLong
		}
		return line, err
	}
}

// lineWriter writes messages, one at a time.
type lineWriter struct {
	mu     sync.Mutex
	out    io.Writer
	broken chan struct{} // closed when a write has failed
	failed bool
}

func (w *lineWriter) write(m any) {
	text, err := json.Marshal(m)
	if err != nil { // what the server says always marshals
		panic(fmt.Errorf("encode a message: %w", err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed {
		return
	}
	if _, err := w.out.Write(append(text, '\n')); err != nil {
		w.failed = true
		close(w.broken)
	}
}
