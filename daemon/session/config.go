package session

import (
	"runtime"
	"time"
)

// Config holds the defaults and bounds of sessions and executions. Use
// DefaultConfig and change what should differ.
type Config struct {
	ExecTimeout          time.Duration // of an execution that names none
	MaxExecTimeout       time.Duration
	IdleTimeout          time.Duration
	TestTimeout          time.Duration
	SessionsPerPrincipal int // uid 0 has no such limit
	QueuePerPrincipal    int // executions waiting or running
	CodeBytes            int64
	InlineFileBytes      int64
	OutputBytes          int64 // of stdout and stderr kept: 3/4 head, 1/4 tail
	MaxOutputBytes       int64 // what an execution may ask for
	DisplayBytes         int64 // of one display item
	TestsPerExecution    int
	HistoryPerSession    int   // finished executions that stay readable
	HistoryBytes         int64 // of all finished executions together
	HistoryPerPrincipal  int64 // bytes of one principal's
	HeldPerPrincipal     int64 // bytes of output and events of its executions under way, and of answers that it reads
	// AbandonAfter is how long an execution runs on when nobody listens any more.
	AbandonAfter time.Duration
	// MemoryReserve is what must stay free on the host when a session starts.
	MemoryReserve int64

	// InterruptGrace is how long a kernel has to end an execution after SIGINT
	// before it is killed; InterruptEvery is how often SIGINT is repeated.
	InterruptGrace, InterruptEvery time.Duration

	Default, Floor, Ceiling Resources
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	cpus := float64(runtime.NumCPU())
	return Config{
		ExecTimeout:          60 * time.Second,
		MaxExecTimeout:       time.Hour,
		IdleTimeout:          time.Hour,
		TestTimeout:          6 * time.Second,
		SessionsPerPrincipal: 1024,
		QueuePerPrincipal:    1024,
		CodeBytes:            1 << 20,
		InlineFileBytes:      32 << 20,
		OutputBytes:          8 << 20,
		MaxOutputBytes:       64 << 20,
		DisplayBytes:         16 << 20,
		TestsPerExecution:    1000,
		HistoryPerSession:    100,
		HistoryBytes:         256 << 20,
		HistoryPerPrincipal:  128 << 20,
		HeldPerPrincipal:     512 << 20,
		AbandonAfter:         10 * time.Second,
		MemoryReserve:        512 << 20,
		InterruptGrace:       5 * time.Second,
		InterruptEvery:       time.Second,
		Default:              Resources{MemoryMB: 1024, CPUs: min(2, cpus), Pids: 128, DiskMB: 512},
		Floor:                Resources{MemoryMB: 64, CPUs: 0.1, Pids: 32, DiskMB: 1},
		Ceiling:              Resources{MemoryMB: 1 << 20, CPUs: cpus, Pids: 4096, DiskMB: 1 << 20},
	}
}

// MaxLifetime bounds how long a session may be asked to live.
const MaxLifetime = 366 * 24 * time.Hour

// Bounds that are not settings.
const (
	shmBytes      = 64 << 20
	openFiles     = 1024
	bytesPerInode = 8 << 10 // a workspace has one inode for so many bytes
	minInodes     = 1024
	maxInodes     = 262_144

	maxEnvBytes       = 64 << 10
	maxMetadataKeys   = 64
	maxMetadataKey    = 64
	maxMetadataValue  = 512
	maxDisplays       = 1000
	maxDisplaysBytes  = 64 << 20 // of one execution's display items together
	maxErrorItems     = 16
	maxHeadItems      = 32_768 // of output, after which what follows counts as its tail
	maxTailItems      = 4096
	maxDeaths         = 5 // of idle kernels in a row, then the session has failed
	closedRemembered  = 4096
	maxSending        = 128 << 20        // bytes of events on their way to one principal's clients
	eventsRemembered  = 10 * time.Minute // after an execution's end
	maxSeenFiles      = 2000             // of a workspace, in search of changes
	kernelDialTimeout = 20 * time.Second
	lookEvery         = 50 * time.Millisecond  // at what a running execution has in use
	kernelDrain       = 200 * time.Millisecond // for what a dead kernel still had to say
	destroyTimeout    = 20 * time.Second
)
