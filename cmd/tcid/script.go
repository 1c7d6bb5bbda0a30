package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// cellMark begins a line that parts a script into cells, as other tools write it
// too.
const cellMark = "# %%"

// script runs the cells of standard input, each as soon as it is there.
func (r *repl) script(ctx context.Context) error {
	cells := make(chan cell)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Reading can't be interrupted; the process ends soon after.
	go readCells(ctx, r.a.in, cells)
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case c, more := <-cells:
			switch {
			case !more:
				return nil
			case c.err != nil:
				return c.err
			}
			if err := r.execute(ctx, c.code, nil); err != nil {
				return err
			}
		}
	}
}

// cell is a piece of a script, or why there is none.
type cell struct {
	code string
	err  error
}

// readCells sends what is between marks, but for what is blank.
func readCells(ctx context.Context, in io.Reader, cells chan<- cell) {
	defer close(cells)
	lines := bufio.NewReader(in)
	var code strings.Builder
	send := func(c cell) bool {
		if c.err == nil && strings.TrimSpace(c.code) == "" {
			return true
		}
		select {
		case cells <- c:
			return c.err == nil
		case <-ctx.Done():
			return false
		}
	}
	for {
		line, err := lines.ReadString('\n')
		if strings.HasPrefix(line, cellMark) {
			if !send(cell{code: code.String()}) {
				return
			}
			code.Reset()
		} else {
			code.WriteString(line)
		}
		switch {
		case !utf8.ValidString(line):
			send(cell{err: usageError{errors.New("standard input is not UTF-8 text")}})
			return
		case errors.Is(err, io.EOF):
			send(cell{code: code.String()})
			return
		case err != nil:
			send(cell{err: usageError{fmt.Errorf("read standard input: %w", err)}})
			return
		case code.Len() > maxInput:
			send(cell{err: usageError{fmt.Errorf("a cell of standard input is larger than %d MiB, the limit of a request", maxInput>>20)}})
			return
		}
	}
}
