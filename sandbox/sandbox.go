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
}

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
	// ID names the sandbox: lower-case letters, digits, '_' and '-'.
	ID     string
	Image  Image
	Limits Limits
	// Env is added to the kernel's environment ("NAME=value").
	Env []string
	// Cwd is the kernel's first working directory, relative to the workspace.
	Cwd string
}

// Isolation is what is really enforced around every sandbox of a Backend.
type Isolation struct {
	Start      string   // how kernels start: "fresh"
	Namespaces []string // always new ones: mnt, pid, net, ipc, uts, cgroup, user
	Seccomp    bool
	Cgroup     string   // v1, hybrid, v2
	Limits     []string // which limits bind: memory, swap, cpu, pids, disk
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

// Backend makes sandboxes.
type Backend interface {
	// Create starts an empty sandbox: its init runs, no kernel does.
	Create(ctx context.Context, spec Spec) (Sandbox, error)
	Isolation() Isolation
}

// Sandbox is one isolated place. Its methods may be called from any goroutine.
type Sandbox interface {
	// StartKernel ends every process of the sandbox but its init, then starts
	// a new kernel and returns once that runs.
	StartKernel(ctx context.Context) (Process, error)
	// Workspace is the session's file tree, reached from outside.
	Workspace() *workspace.Dir
	Usage() (Usage, error)
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
	// StartupNote is the head of what the kernel's process said before it took
	// its own output over: why an interpreter did not start.
	StartupNote() string
}

// Exit is how a kernel ended.
type Exit struct {
	Code   int    // exit code, or -1 when Signal is set or nothing is known
	Signal string // such as "SIGKILL"; empty when it exited
}
