package session

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"tcid/daemon/grade"
)

func TestCompleteRefuses(t *testing.T) {
	c := DefaultConfig()
	negative := -time.Second
	for param, spec := range map[string]Spec{
		"language":            {Language: "ruby"},
		"isolation":           {Isolation: "none"},
		"network.mode":        {NetworkMode: "full"},
		"ttl":                 {TTL: -1},
		"idle_timeout":        {IdleTimeout: &negative},
		"resources.memory_mb": {Resources: Resources{MemoryMB: 1}},
		"resources.cpus":      {Resources: Resources{CPUs: math.NaN()}},
		"resources.pids":      {Resources: Resources{Pids: 1}},
		"resources.disk_mb":   {Resources: Resources{MemoryMB: 64, DiskMB: 65}},
		"metadata":            {Metadata: map[string]string{"": "x"}},
		"env":                 {Env: map[string]string{"A=B": "x"}},
		"cwd":                 {Cwd: "../.."},
		"files":               {Files: []File{{Name: "../x"}}},
	} {
		t.Run(param, func(t *testing.T) {
			_, err := c.complete(spec)
			var e *Error
			if !errors.As(err, &e) || e.Param != param {
				t.Errorf("complete = %v, want an error about %s", err, param)
			}
		})
	}
}

func TestCompleteFillsIn(t *testing.T) {
	got, err := DefaultConfig().complete(Spec{Resources: Resources{MemoryMB: 128}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Language != "python" || got.NetworkMode != "none" || *got.IdleTimeout != time.Hour {
		t.Errorf("complete = %+v", got)
	}
	if got.Resources.DiskMB != 64 {
		t.Errorf("the workspace has %d MiB, want half of the memory", got.Resources.DiskMB)
	}
}

func TestCompleteExecRefuses(t *testing.T) {
	c := DefaultConfig()
	for name, spec := range map[string]ExecSpec{
		"long code":     {Code: strings.Repeat("x", 1<<20+1)},
		"NUL":           {Code: "a\x00b"},
		"timeout":       {Timeout: 2 * time.Hour},
		"output":        {MaxOutputBytes: 1 << 40},
		"cwd":           {Cwd: "/../x"},
		"unknown test":  {Tests: []grade.Test{{Type: "pytest", Condition: "x", Points: 1}}},
		"empty test":    {Tests: []grade.Test{{Type: grade.TypeCondition, Points: 1}}},
		"no points":     {Tests: []grade.Test{{Type: grade.TypeCondition, Condition: "x"}}},
		"unknown mode":  {Grading: "best"},
		"too many":      {Tests: make([]grade.Test, 1001)},
		"env with NUL":  {Env: map[string]string{"A": "\x00"}},
		"file with ...": {Files: []File{{Name: "a/../../b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.completeExec(spec); CodeOf(err) != CodeInvalid {
				t.Errorf("completeExec = %v, want it refused", err)
			}
		})
	}
}

func TestQuoteIsOneBoundedLine(t *testing.T) {
	got := quote("a\nb\"\x7f\xff" + strings.Repeat("x", 1000))
	if strings.ContainsAny(got[1:len(got)-1], "\n\"\x7f") || len(got) > 100 {
		t.Errorf("quote = %q", got)
	}
}
