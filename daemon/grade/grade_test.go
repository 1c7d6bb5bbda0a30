package grade

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func verdicts(statuses ...string) []Verdict {
	var out []Verdict
	for _, s := range statuses {
		out = append(out, Verdict{Test: Test{Points: 1}, Status: s})
	}
	return out
}

func reward(f float64) *float64 { return &f }

func TestGrade(t *testing.T) {
	required := verdicts(Passed, WrongAnswer)
	required[1].Test.Required = true
	uneven := verdicts(Passed, WrongAnswer)
	uneven[0].Test.Points, uneven[1].Test.Points = 3, 1
	for _, c := range []struct {
		name     string
		verdicts []Verdict
		mode     Mode
		want     *float64
	}{
		{"no tests", nil, Weighted, nil},
		{"three of four", verdicts(Passed, Passed, Passed, WrongAnswer), Weighted, reward(0.75)},
		{"default is weighted", uneven, "", reward(0.75)},
		{"fraction counts tests", uneven, Fraction, reward(0.5)},
		{"sum is clamped", uneven, Sum, reward(1)},
		{"all or nothing, all", verdicts(Passed, Passed), AllOrNothing, reward(1)},
		{"all or nothing, not all", verdicts(Passed, Timeout), AllOrNothing, reward(0)},
		{"required failed", required, Weighted, reward(0)},
		{"infrastructure failed", verdicts(Passed, InfraError), Weighted, nil},
		{"skipped is not passed", verdicts(Passed, Skipped), Weighted, reward(0.5)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Grade(c.verdicts, c.mode).Reward); diff != "" {
				t.Errorf("reward (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		points []float64
		mode   Mode
		ok     bool
	}{
		"fine":         {[]float64{1, 0}, Weighted, true},
		"no tests":     {nil, "", true},
		"negative":     {[]float64{-1, 2}, Weighted, false},
		"all zero":     {[]float64{0, 0}, Weighted, false},
		"not a number": {[]float64{math.NaN()}, Weighted, false},
		"infinite":     {[]float64{math.Inf(1)}, Weighted, false},
		"overflow":     {[]float64{math.MaxFloat64, math.MaxFloat64}, Weighted, false},
		"unknown mode": {[]float64{1}, "best", false},
	} {
		t.Run(name, func(t *testing.T) {
			var tests []Test
			for _, p := range c.points {
				tests = append(tests, Test{Points: p})
			}
			if err := Check(tests, c.mode); (err == nil) != c.ok {
				t.Errorf("Check = %v, want ok %v", err, c.ok)
			}
		})
	}
}
