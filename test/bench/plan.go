package main

import "time"

// The targets. "must" is what is promised, "stretch" what is hoped for.
const (
	// Row 1: times a bare Python that runs the same program; at most.
	oneShotMust, oneShotStretch = 0.35, 0.20
	// Row 2, 8 clients: per second, and times go-judge; at least.
	oneShotRateMust, oneShotRateStretch       = 350.0, 700.0
	oneShotGoJudgeMust, oneShotGoJudgeStretch = 4.0, 8.0
	// Row 3: times a bare Python that imports the packages; at most.
	sessionMust, sessionStretch = 0.12, 0.05
	// Row 4, 8 clients: per second; at least.
	sessionRateMust, sessionRateStretch = 40.0, 100.0
	// Row 5: milliseconds; at most.
	liveMust, liveStretch = 0.6, 0.4
	// Row 6: MiB a session, everything counted; at most.
	memoryMust, memoryStretch = 8.0, 5.0
	// Row 8: times cp to a tmpfs; at least.
	transferMust, transferStretch = 0.5, 0.8
	// Row 9: MiB; at most.
	idleMust, idleStretch = 40.0, 25.0
)

// plan says how much is measured.
type plan struct {
	name string
	// rounds is how often each contender has its turn in a race of latencies
	// of fast things, and slowRounds of those that take a second.
	rounds, slowRounds int
	// slices and slice: turns in a race of throughputs, and how long each is.
	slices int
	slice  time.Duration
	// liveRounds turns of liveBatch executions each.
	liveRounds, liveBatch int
	sessions              int // alive at once
	transfers             int
	transferMiB           int
	probes                int // runs to find the fastest interpreter
}

var (
	full = plan{
		name: "full", rounds: 200, slowRounds: 30, slices: 6, slice: 3 * time.Second,
		liveRounds: 50, liveBatch: 40, sessions: 1000, transfers: 15, transferMiB: 256, probes: 25,
	}
	brief = plan{
		name: "short", rounds: 20, slowRounds: 4, slices: 2, slice: time.Second,
		liveRounds: 10, liveBatch: 20, sessions: 40, transfers: 4, transferMiB: 256, probes: 9,
	}
)

const (
	warmUps = 3 // turns before those that count, for caches and pools
	// settle is how long memory is left alone before it is looked at.
	settle = 3 * time.Second
	// callTimeout bounds one turn of anything.
	callTimeout = 2 * time.Minute
)
