//go:build weaken

package gate

import (
	"time"

	"tcid/internal/weaken"
)

// bounded lets everybody in without "connections".
func bounded() bool { return !weaken.Without("connections") }

// left waits for any peer without "stall".
func (c *conn) left() time.Duration {
	if weaken.Without("stall") {
		return time.Hour
	}
	return c.pace.Left()
}
