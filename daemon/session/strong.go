//go:build !weaken

package session

import (
	"time"

	"tcid/daemon/grade"
	"tcid/sandbox"
	"tcid/sandbox/kernel"
)

// What the tests' weakened program leaves out one by one; see
// sandbox/container/strong.go.

func crowded(items []*item, most int) bool { return len(items) >= most }

func outputBytes(c *collector) int64 { return c.total }

func believed(kernel.Outcome, *ExecError) string { return "" }

func endedWell(sandbox.Exit) bool { return false }

func tooLate(timedOut bool) bool { return timedOut }

func graceOf(c Config) time.Duration { return c.InterruptGrace }

func counted(verdicts []grade.Verdict) []grade.Verdict { return verdicts }

func billed(*Receipt) {}

func same(p, owner Principal) bool { return p.ID == owner.ID }
