//go:build !weaken

package gate

import "time"

// What the tests' weakened program leaves out one by one; see
// sandbox/container/strong.go.

func bounded() bool { return true }

func (c *conn) left() time.Duration { return c.pace.Left() }
