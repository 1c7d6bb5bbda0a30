//go:build weaken

package session

import (
	"time"

	"tcid/daemon/grade"
	"tcid/internal/weaken"
	"tcid/sandbox"
	"tcid/sandbox/kernel"
)

func without(what string) bool { return weaken.Without(what) }

// crowded bounds the bytes of output alone without "items".
func crowded(items []*item, most int) bool { return len(items) >= most && !without("items") }

// outputBytes counts what is kept without "output".
func outputBytes(c *collector) int64 {
	if !without("output") {
		return c.total
	}
	var r Result
	c.enter(&r)
	kept := int64(0)
	for _, o := range r.Outputs {
		kept += int64(len(o.Text))
	}
	return kept
}

// believed says that the kernel knows how its code ended without "exit", and
// that SystemExit is a good end.
func believed(o kernel.Outcome, raised *ExecError) string {
	switch {
	case !without("exit"):
		return ""
	case raised != nil && raised.Name == "SystemExit":
		return statusOK
	}
	return o.Status
}

// endedWell takes a kernel that ends without an exit code for done without
// "exit".
func endedWell(x sandbox.Exit) bool { return without("exit") && x.Code <= 0 }

// tooLate takes what comes after the time limit without "timeout".
func tooLate(timedOut bool) bool { return timedOut && !without("timeout") }

// graceOf asks politely and no more without "ladder".
func graceOf(c Config) time.Duration {
	if without("ladder") {
		return time.Hour
	}
	return c.InterruptGrace
}

// counted passes what did not fail without "failclosed".
func counted(verdicts []grade.Verdict) []grade.Verdict {
	for i := range verdicts {
		if without("failclosed") && verdicts[i].Status != grade.WrongAnswer {
			verdicts[i].Status = grade.Passed
		}
	}
	return verdicts
}

// billed takes the time that processors worked for the time that has passed
// without "wall".
func billed(r *Receipt) {
	if without("wall") {
		r.Wall = r.CPUUser + r.CPUSystem
	}
}

// same lets everybody have everything without "owner".
func same(p, owner Principal) bool { return p.ID == owner.ID || without("owner") }
