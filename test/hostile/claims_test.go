package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "tcid/api/v1"
)

const (
	testTimeout = 1.0 // seconds, of a condition
	thenTimeout = 10.0
	// clearPeak has the kernel begin anew with a process's greatest size.
	clearPeak = "5"
)

// observed is what the daemon says of a program, and what it took to say so.
type observed struct {
	e, then v1.Execution
	took    time.Duration // until the session was closed
	grownMB float64       // the most that the daemon had more than before
}

// claim is something untrue of a program: whoever says it has been fooled.
type claim struct{ fact, op, value string }

var claimText = regexp.MustCompile(`^([a-z_.]+) *([=<>~]) *(.*)$`)

// parseClaims reads "status = ok; cpu_ms < 300".
func parseClaims(text string) (claims []claim, err error) {
	for part := range strings.SplitSeq(text, ";") {
		m := claimText.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil {
			return nil, fmt.Errorf("%q is no claim", part)
		}
		c := claim{m[1], m[2], m[3]}
		if facts[c.fact] == nil {
			return nil, fmt.Errorf("there is no fact %q", c.fact)
		}
		if _, err := strconv.ParseFloat(c.value, 64); err != nil && (c.op == "<" || c.op == ">") {
			return nil, fmt.Errorf("%q compares with no number", part)
		}
		claims = append(claims, c)
	}
	return claims, nil
}

// facts are what can be claimed, as text. A fact that there is not is "".
var facts = map[string]func(o *observed) string{
	"status":      func(o *observed) string { return o.e.Status },
	"result":      func(o *observed) string { return string(o.e.Result) },
	"stdout":      func(o *observed) string { return o.e.Stdout },
	"passed":      func(o *observed) string { return strconv.Itoa(o.e.Passed) },
	"integrity":   func(o *observed) string { return integrity(o.e) },
	"cpu_ms":      func(o *observed) string { return number(o.e.Receipt.CPUUserMS + o.e.Receipt.CPUSystemMS) },
	"wall_ms":     func(o *observed) string { return number(o.e.Receipt.WallMS) },
	"memory_mb":   func(o *observed) string { return number(float64(o.e.Receipt.MaxMemoryBytes) / (1 << 20)) },
	"output_mb":   func(o *observed) string { return number(float64(o.e.Receipt.OutputBytes) / (1 << 20)) },
	"pids":        func(o *observed) string { return optional(o.e.Receipt.MaxPids) },
	"outputs":     func(o *observed) string { return strconv.Itoa(len(o.e.Outputs)) },
	"then.status": func(o *observed) string { return o.then.Status },
	"then.result": func(o *observed) string { return string(o.then.Result) },
	"took_s":      func(o *observed) string { return number(o.took.Seconds()) },
	"daemon_mb":   func(o *observed) string { return number(o.grownMB) },
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func optional(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func integrity(e v1.Execution) string {
	if len(e.Tests) == 0 {
		return ""
	}
	return e.Tests[0].Integrity
}

// holds tells whether the daemon says what the program claims.
func (c claim) holds(o *observed) bool {
	is := facts[c.fact](o)
	got, err := strconv.ParseFloat(is, 64)
	want, _ := strconv.ParseFloat(c.value, 64)
	switch c.op {
	case "<":
		return err == nil && got < want
	case ">":
		return err == nil && got > want
	case "~":
		return strings.Contains(is, c.value)
	}
	return is == c.value
}

// believed lists the claims that hold, if all do.
func believed(claims []claim, o *observed) (flags []string) {
	for _, c := range claims {
		if !c.holds(o) {
			return nil
		}
		flags = append(flags, fmt.Sprintf("the daemon says that %s is %.100s", c.fact, facts[c.fact](o)))
	}
	return flags
}

// conditions are a program's tests.
func (p program) conditions() (tests []v1.Test) {
	timeout := testTimeout
	for _, c := range p.tests {
		tests = append(tests, v1.Test{Condition: c, Timeout: &timeout})
	}
	return tests
}

// follow runs the code that comes after the program, as a client would.
func (d *daemon) follow(ctx context.Context, t *testing.T, session string, p program) v1.Execution {
	t.Helper()
	if p.then == "" {
		return v1.Execution{}
	}
	timeout := thenTimeout
	e, err := d.Execute(ctx, session, v1.ExecSpec{Code: p.then, Timeout: &timeout})
	if err != nil {
		t.Fatalf("run what comes after it: %v", err)
	}
	return e
}

// peak is the most memory that the daemon has had, in MiB, since forgetPeak.
func (d *daemon) peak(t *testing.T) float64 {
	t.Helper()
	status, err := os.ReadFile(d.proc("status"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}

func (d *daemon) forgetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(d.proc("clear_refs"), []byte(clearPeak), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d *daemon) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), name)
}

func TestClaims(t *testing.T) {
	o := &observed{e: v1.Execution{Status: "ok", Result: json.RawMessage("[1]"), Passed: 1}}
	for text, holds := range map[string]bool{
		"status = ok": true, "status = error": false, "result = [1]": true, "passed > 0": true, "passed < 1": false,
		"pids < 9": false, "result ~ 1; status = ok": true, "result ~ 1; status = error": false,
	} {
		claims, err := parseClaims(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(believed(claims, o)) > 0; got != holds {
			t.Errorf("%q holds: %t", text, got)
		}
	}
	for _, text := range []string{"", "status", "colour = red", "pids < many"} {
		if _, err := parseClaims(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
