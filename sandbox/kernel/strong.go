//go:build !weaken

package kernel

import (
	"io/fs"
	"time"
)

// What the tests' weakened program leaves out one by one; see
// sandbox/container/strong.go.

const (
	frameLimit = MaxFrame
	// closeTimeout bounds the last write and the one that it waits for, on Close.
	closeTimeout = time.Second
)

func (c *Conn) message(frame []byte) (*message, error) { return decode(frame) }

func checked(frame []byte) error { return scan(frame) }

func finalSource(source fs.FS) fs.FS { return source }
