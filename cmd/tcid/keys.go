package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// keys are what is typed on a terminal in raw mode, handed on up to the end of a
// line at a time: so that nothing of the next line has been read when a line is
// done, and text can be put before it.
type keys struct {
	ctx  context.Context
	in   *os.File
	wake [2]*os.File // the read end says that ctx has ended
	stop func() bool

	typed    []byte // read and not handed on
	inserted []byte // to be handed on first
	ctrlC    bool   // the last that was handed on
}

const keyCtrlC = 3

func newKeys(ctx context.Context, in *os.File) (*keys, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("watch the terminal: %w", err)
	}
	k := &keys{ctx: ctx, in: in, wake: [2]*os.File{r, w}}
	k.stop = context.AfterFunc(ctx, func() { w.Close() })
	return k, nil
}

func (k *keys) close() {
	k.stop()
	k.wake[0].Close()
	k.wake[1].Close()
}

// insert types text in the place of the user, unless something is typed already:
// then it is a paste or somebody fast, who has thought of it.
func (k *keys) insert(text string) {
	if len(k.typed) == 0 {
		k.inserted = []byte(text)
	}
}

// dropped tells whether Ctrl-C ended the line.
func (k *keys) dropped() bool {
	was := k.ctrlC
	k.ctrlC = false
	return was
}

// Read reads keys, at most to the end of a line. It ends with the context.
func (k *keys) Read(p []byte) (int, error) {
	if len(k.inserted) > 0 {
		n := copy(p, k.inserted)
		k.inserted = k.inserted[n:]
		return n, nil
	}
	if len(k.typed) == 0 {
		if err := k.fill(); err != nil {
			return 0, err
		}
	}
	n := len(k.typed)
	if end := bytes.IndexAny(k.typed, "\r\n\x03"); end >= 0 {
		n = end + 1
		if k.typed[end] == '\r' && n < len(k.typed) && k.typed[n] == '\n' {
			n++
		}
	}
	n = copy(p, k.typed[:n])
	k.ctrlC = k.typed[n-1] == keyCtrlC
	k.typed = k.typed[n:]
	return n, nil
}

// fill waits for keys.
func (k *keys) fill() error {
	const most = 4096 // what a terminal holds
	fds := []unix.PollFd{{Fd: int32(k.in.Fd()), Events: unix.POLLIN}, {Fd: int32(k.wake[0].Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait for the terminal: %w", err)
		case k.ctx.Err() != nil:
			return context.Cause(k.ctx)
		}
		buffer := make([]byte, most)
		n, err := k.in.Read(buffer)
		if n == 0 && err == nil {
			err = io.EOF
		}
		k.typed = buffer[:max(0, n)]
		return err
	}
}
