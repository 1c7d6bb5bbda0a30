package session

import (
	"time"

	"tcid/daemon/grade"
	"tcid/sandbox/workspace"
)

// Principal is who asks: "uid:1000" on the Unix socket, "key:<name>" on TCP.
// Everything belongs to a principal; others are told that it doesn't exist.
type Principal struct {
	ID string
	// Admin is true for uid 0, who sees everything and has no session limit.
	Admin bool
}

// Resources are what a client may ask for; zero means the default.
type Resources struct {
	MemoryMB int64
	CPUs     float64
	Pids     int64
	DiskMB   int64
}

// File is a file that is written into the workspace before code runs.
type File struct {
	Name    string
	Content []byte
}

// Spec is what a session is made from. The zero value is a Python session
// with the defaults of Config.
type Spec struct {
	Language    string
	Isolation   string
	TTL         time.Duration  // 0: none
	IdleTimeout *time.Duration // nil: the default; 0: none
	Env         map[string]string
	Cwd         string
	Metadata    map[string]string
	Resources   Resources
	NetworkMode string
	Files       []File
	Image       string

	once bool // it is for one execution
}

// Patch changes a live session; nil fields stay as they are.
type Patch struct {
	TTL         *time.Duration // counted from now
	IdleTimeout *time.Duration
	Metadata    map[string]string
}

// ExecSpec is one piece of code to run.
type ExecSpec struct {
	Code           string
	Tests          []grade.Test
	Grading        grade.Mode
	Timeout        time.Duration // 0: the default
	Stdin          []byte        // nil: end of file
	Env            map[string]string
	Cwd            string
	Files          []File
	MaxOutputBytes int64 // 0: the default
	Detach         bool  // run on when nobody listens
}

// Filter chooses sessions; empty fields choose all.
type Filter struct {
	State    string
	Metadata map[string]string
}

// Info is a snapshot of a session.
type Info struct {
	ID             string
	Principal      Principal
	Language       string
	State          string // ready, busy, closed, expired, failed
	CreatedAt      time.Time
	ExpiresAt      time.Time // zero: none
	LastExecuteAt  time.Time // zero: never
	ExecuteCount   int64
	Metadata       map[string]string
	Resources      Resources
	NetworkMode    string
	Image          string
	ImageDigest    string
	IdleTimeout    time.Duration
	KernelRestarts int64
	Reason         string
	Sandbox        string // names its cgroup
	Start          string // how its kernel starts: sandbox.StartFork or StartFresh
	Warning        string // why not as it was asked for
}

// Output is one item of what an execution showed. Text is set for stdout,
// stderr and error, Data (MIME type to value) for the other types.
type Output struct {
	Type string
	Text string
	Data map[string]any
}

// Result is a snapshot of an execution.
type Result struct {
	ID, SessionID string
	Index         int64
	Status        string // the Status* values of api/v1
	QueuedAt      time.Time
	StartedAt     time.Time // zero: not yet
	FinishedAt    time.Time // zero: not yet
	Receipt       Receipt
	Stdout        string
	Stderr        string
	DroppedStdout int64 // bytes cut out of the middle
	DroppedStderr int64
	Outputs       []Output
	Value         []byte // JSON, nil for null
	Repr          *string
	Source        string // expression, variable, none
	Error         *ExecError
	StateLost     bool
	Grade         grade.Outcome
	Changes       []workspace.Change // of files, by path
	Unseen        bool               // there are more files than were looked at
}

// ExecError tells why an execution did not end ok.
type ExecError struct {
	Name, Value string
	Traceback   []string
}

// Receipt is what an execution cost, and what its limits did to it.
type Receipt struct {
	Wall, Queue, CPUUser, CPUSystem, Throttled time.Duration
	MaxMemoryBytes                             int64
	OOMKills                                   int64  // processes ended by the memory limit
	MaxPids                                    *int64 // nil where the kernel doesn't tell
	RefusedForks                               int64  // processes and threads refused by their limit
	MaxOpenFiles                               *int64 // of the kernel, as far as seen; nil when that is unknown
	OutputBytes, DroppedOutputBytes            int64  // of streams and display items
	Displays, DroppedDisplays                  int64
	WorkspaceBytes, WorkspaceFiles             int64 // at its end
	LimitsHit                                  []string
}
