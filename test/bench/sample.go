package main

import (
	"math"
	"slices"
	"time"
)

// sample is a series of durations.
type sample []time.Duration

// ms is the p-th percentile (0 to 100) in milliseconds: the smallest value that
// so many per cent of the series don't exceed.
func (s sample) ms(p float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Clone(s)
	slices.Sort(sorted)
	i := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return float64(sorted[min(max(i, 0), len(sorted)-1)].Nanoseconds()) / 1e6
}

// percentiles writes what is told of a series into a result.
func (s sample) percentiles(r *Result) {
	r.N, r.P50, r.P90, r.P99 = len(s), s.ms(50), s.ms(90), s.ms(99)
}

// median of numbers; 0 of none.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	m := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[m]
	}
	return (sorted[m-1] + sorted[m]) / 2
}
