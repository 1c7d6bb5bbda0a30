// Package grade turns the verdicts of tests into points and a reward.
package grade

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Test is one check.
type Test struct {
	Name      string
	Type      string // "condition"
	Condition string
	Points    float64 // for a pass
	Timeout   time.Duration
	Required  bool // a failure makes the whole reward 0
}

// TypeCondition is a Python expression evaluated in the session after the code.
const TypeCondition = "condition"

// Verdicts of one test.
const (
	Passed       = "passed"
	WrongAnswer  = "wrong_answer"
	RuntimeError = "runtime_error"
	Timeout      = "timeout"
	MemoryLimit  = "memory_limit"
	CompileError = "compile_error"
	Skipped      = "skipped"
	InfraError   = "infra_error"
)

// IntegrityCooperative marks a verdict that was reached in the interpreter
// that ran the graded code, which could have lied.
const IntegrityCooperative = "cooperative"

// Verdict is the outcome of one test.
type Verdict struct {
	Test     Test
	Status   string
	Message  string
	Duration time.Duration
}

// Points returns what the verdict earned.
func (v Verdict) Points() float64 {
	if v.Status == Passed {
		return v.Test.Points
	}
	return 0
}

// Mode is how points become a reward.
type Mode string

// The modes.
const (
	Weighted     Mode = "weighted"       // earned / possible
	Sum          Mode = "sum"            // earned, clamped to 0..1
	AllOrNothing Mode = "all_or_nothing" // 1 when everything passed
	Fraction     Mode = "fraction"       // passed / total
)

// Outcome is a graded set of verdicts. Reward is nil without tests, and when
// the infrastructure failed: such a sample must be dropped, not scored as 0.
type Outcome struct {
	Verdicts  []Verdict
	Reward    *float64
	Points    float64
	MaxPoints float64
	Passed    int
}

// Check reports what is wrong with a set of tests, or nil.
func Check(tests []Test, mode Mode) error {
	switch mode {
	case "", Weighted, Sum, AllOrNothing, Fraction:
	default:
		return fmt.Errorf("grading mode %q is unknown; use weighted, sum, all_or_nothing or fraction", mode)
	}
	var total float64
	for i, t := range tests {
		if math.IsNaN(t.Points) || math.IsInf(t.Points, 0) || t.Points < 0 {
			return fmt.Errorf("tests[%d]: reward must be a finite number of at least 0", i)
		}
		total += t.Points
	}
	if len(tests) > 0 && (total <= 0 || math.IsInf(total, 0)) {
		return errors.New("tests: the rewards must add up to a finite number above 0")
	}
	return nil
}

// Grade adds up verdicts.
func Grade(verdicts []Verdict, mode Mode) Outcome {
	out := Outcome{Verdicts: verdicts}
	if len(verdicts) == 0 {
		return out
	}
	infra, failedRequired := false, false
	for _, v := range verdicts {
		out.MaxPoints += v.Test.Points
		out.Points += v.Points()
		switch v.Status {
		case Passed:
			out.Passed++
		case InfraError:
			infra = true
		}
		if v.Test.Required && v.Status != Passed {
			failedRequired = true
		}
	}
	if infra {
		return out
	}
	var r float64
	switch {
	case failedRequired:
	case mode == Sum:
		r = math.Min(out.Points, 1)
	case mode == AllOrNothing:
		if out.Passed == len(verdicts) {
			r = 1
		}
	case mode == Fraction:
		r = float64(out.Passed) / float64(len(verdicts))
	default:
		r = out.Points / out.MaxPoints
	}
	out.Reward = &r
	return out
}
