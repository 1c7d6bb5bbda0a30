// Package sandbox says what a sandbox is: the isolation object in which a
// session's kernel runs. It holds no mechanism. sandbox/container implements
// Backend with libcontainer; daemon/session uses it through these interfaces
// and knows nothing else about isolation.
package sandbox

import (
	"context"
	"errors"
	"net"
	"time"

	"tcid/sandbox/workspace"
)

// Errors that a Backend's methods wrap.
var (
	// ErrClosed: the sandbox was destroyed, or its init ended.
	ErrClosed = errors.New("sandbox is closed")
	// ErrLimitTooLow: the sandbox could not start within the memory or process
	// limit that was asked for.
	ErrLimitTooLow = errors.New("limit too low to start")
	// ErrExhausted: the host ran out of something (ids, memory, processes).
	ErrExhausted = errors.New("host resources exhausted")
)

// Image is a root file system for sandboxes, as a Backend needs it.
type Image struct {
	Name   string
	Digest string // hex SHA-256 of the content
	// Root is the absolute path of the root file system on the host.
	Root string
	// Python is the interpreter's path inside the image.
	Python string
	// Preload names the modules that a zygote of the image imports.
	Preload []string
}

// How a kernel starts.
const (
	// StartFork forks it from the zygote of its image.
	StartFork = "fork"
	// StartFresh executes an interpreter, in a user namespace of the sandbox's own.
	StartFresh = "fresh"
)

// Limits are enforced from outside by the kernel (cgroup, tmpfs, rlimits).
type Limits struct {
	MemoryBytes int64   // all kinds of memory, tmpfs files included; no swap
	CPUs        float64 // CPU seconds per second
	Pids        int64   // processes and threads
	DiskBytes   int64   // workspace size
	DiskInodes  int64   // workspace files and directories
	ShmBytes    int64   // /dev/shm
	OpenFiles   uint64  // file descriptors per process
}

// Spec is what a sandbox is made from.
type Spec struct {
	Image  Image
	Start  string // StartFork or StartFresh
	Limits Limits
	// Env is added to the kernel's environment ("NAME=value").
	Env []string
	// Cwd is the kernel's first working directory, relative to the workspace.
	Cwd string
	// Principal is whom the sandbox is for. What one has used is never given to
	// another.
	Principal string
	// Once says that one execution is all that the sandbox is for.
	Once bool
}

// Isolation is what is really enforced around every sandbox of a Backend.
type Isolation struct {
	Start      string   // how kernels start, unless a session asks otherwise
	Namespaces []string // always new ones: mnt, pid, net, ipc, uts, cgroup, user
	Seccomp    bool
	Cgroup     string   // v1, hybrid, v2
	Limits     []string // which limits bind: memory, swap, cpu, pids, disk
	Warnings   []string // where kernels don't start as they should
}

// Usage is what a sandbox has consumed so far, measured from outside.
type Usage struct {
	CPUUser, CPUSystem time.Duration
	Throttled          time.Duration
	MemoryPeakBytes    int64 // highest since the last ResetPeaks, or since the start
	MemoryBytes        int64
	PidsPeak           *int64 // nil where the kernel doesn't tell
	OOMKills           uint64
	PidsRefused        uint64 // forks refused by the process limit
}

// Stats count what a Backend has done since its start, and what it has ready.
type Stats struct {
	PoolHits     uint64 // sandboxes that were ready when they were wanted
	PoolWaited   uint64 // that were about to be
	PoolMisses   uint64 // that had to be made
	PoolRefills  uint64 // that were made ahead
	PoolRecycled uint64 // whose container was made anew for its principal
	PoolRefused  uint64 // whose container could not be, and was removed
	PoolReady    int
	Forks        uint64 // kernels forked
	Moves        uint64 // of them, those moved to their cgroup after they were made
	Zygotes      uint64 // zygotes started
}

// Backend makes sandboxes.
type Backend interface {
	// Create starts an empty sandbox: its init runs, no kernel does.
	Create(ctx context.Context, spec Spec) (Sandbox, error)
	// Prepare says that sandboxes like this one will be wanted; it may have them
	// ready then. It returns at once.
	Prepare(spec Spec)
	Isolation() Isolation
	Stats() Stats
}

// Sandbox is one isolated place. Its methods may be called from any goroutine.
type Sandbox interface {
	// ID names the sandbox where the host's administrator sees it: in cgroups.
	ID() string
	// StartKernel ends every process of the sandbox but its init, then starts
	// a new kernel and returns once that runs.
	StartKernel(ctx context.Context) (Process, error)
	// Workspace is the session's file tree, reached from outside.
	Workspace() *workspace.Dir
	Usage() (Usage, error)
	// Start tells how kernels start here, and why not as the Spec asks, where
	// that is not possible.
	Start() (how, warning string)
	// ResetPeaks starts a new measurement of the peaks, where the kernel can.
	ResetPeaks()
	// Done is closed when the sandbox's init has ended, for whatever reason.
	Done() <-chan struct{}
	// Destroy ends every process and removes everything that the sandbox made.
	// It may be called again after an error.
	Destroy(ctx context.Context) error
}

// Process is a running kernel.
type Process interface {
	// Begun is the connection that the kernel was made with, for whoever asks
	// first, and what the kernel would say of itself: Python's version and the
	// shell's name. It is nil where there is none.
	Begun() (conn net.Conn, python, shell string)
	// Dial connects to the kernel's socket.
	Dial(ctx context.Context) (net.Conn, error)
	// Interrupt sends SIGINT to the kernel's process group.
	Interrupt() error
	// Kill sends SIGKILL to the kernel.
	Kill() error
	// Done is closed when the kernel has ended and was reaped.
	Done() <-chan struct{}
	// Exit tells how it ended; valid once Done is closed.
	Exit() Exit
	// OpenFiles is how many descriptors the kernel's process has open now, seen
	// from outside; not ok when that can't be known.
	OpenFiles() (n int64, ok bool)
	// StartupNote is the head of what the kernel's process said before it took
	// its own output over: why an interpreter did not start.
	StartupNote() string
}

// Exit is how a kernel ended.
type Exit struct {
	Code   int    // exit code, or -1 when Signal is set or nothing is known
	Signal string // such as "SIGKILL"; empty when it exited
}
