package v1

import (
	"encoding/json"
	"time"
)

// Execution statuses.
const (
	StatusQueued      = "queued"
	StatusRunning     = "running"
	StatusOK          = "ok"
	StatusError       = "error" // the code raised
	StatusTimeout     = "timeout"
	StatusInterrupted = "interrupted"
	StatusCancelled   = "cancelled"
	StatusMemoryLimit = "memory_limit"
	StatusCrashed     = "crashed" // the kernel ended by itself
	StatusExpired     = "expired" // the session's end ended it
	StatusInfraError  = "infra_error"
)

// ExecSpec is the body of POST /v1/sessions/{id}/executions.
type ExecSpec struct {
	Code    string   `json:"code"`
	Tests   []Test   `json:"tests,omitempty"`
	Grading *Grading `json:"grading,omitempty"`
	// Timeout is in seconds of wall time, without the time in the queue.
	Timeout *float64 `json:"timeout,omitempty"`
	// Stdin is what the code reads from standard input; absent: end of file.
	Stdin *string `json:"stdin,omitempty"`
	// StdinBase64 is the same for bytes that are no text; give one of the two.
	StdinBase64    *string           `json:"stdin_base64,omitempty"`
	Env            map[string]string `json:"env,omitempty"`
	Cwd            string            `json:"cwd,omitempty"`
	Files          []InlineFile      `json:"files,omitempty"`
	MaxOutputBytes int64             `json:"max_output_bytes,omitempty"`
	// Stream asks for events in the place of one answer, as Accept:
	// application/x-ndjson does.
	Stream bool `json:"stream,omitempty"`
	// Detach lets the code run on when nobody listens: the answer is 202 at once,
	// or a stream that may be left.
	Detach bool `json:"detach,omitempty"`
}

// OneShot is the body of POST /v1/executions: an execution and the session
// that is made for it and closed after it.
type OneShot struct {
	ExecSpec
	Session *SessionSpec `json:"session,omitempty"`
}

// Test is one check of an execution.
type Test struct {
	Name string `json:"name,omitempty"`
	// Type is inferred from the other keys when empty; "condition" is the one
	// type that executions take.
	Type string `json:"type,omitempty"`
	// Condition is a Python expression over the session's names, and result,
	// stdout and stderr of this execution.
	Condition string `json:"condition,omitempty"`
	// Reward is the points for a pass (default 1); Weight is another name of it.
	Reward *float64 `json:"reward,omitempty"`
	Weight *float64 `json:"weight,omitempty"`
	// Timeout is in seconds (default 6).
	Timeout  *float64 `json:"timeout,omitempty"`
	Required bool     `json:"required,omitempty"`
}

// Grading says how points become a reward.
type Grading struct {
	// Mode is "weighted" (default), "sum", "all_or_nothing" or "fraction".
	Mode string `json:"mode,omitempty"`
}

// Output item types.
const (
	OutputStdout        = "stdout"
	OutputStderr        = "stderr"
	OutputError         = "error"
	OutputDisplayData   = "display_data"
	OutputExecuteResult = "execute_result"
)

// Output is one item of what an execution showed, in the order in which it
// came. Data is a string for stdout, stderr and error, else an object of MIME
// type to value.
type Output struct {
	Type string `json:"type"`
	Data any    `json:"data"`
}

// Execution is one run of one piece of code.
type Execution struct {
	ID               string          `json:"id"`
	Object           string          `json:"object"` // "execution"
	SessionID        string          `json:"session_id"`
	Index            int64           `json:"index"` // 1 for the session's first
	Status           string          `json:"status"`
	QueuedAt         time.Time       `json:"queued_at"`
	StartedAt        *time.Time      `json:"started_at"`
	FinishedAt       *time.Time      `json:"finished_at"`
	IdempotentReplay bool            `json:"idempotent_replay"`
	Receipt          Receipt         `json:"receipt"`
	Stdout           string          `json:"stdout"`
	Stderr           string          `json:"stderr"`
	Truncated        Truncated       `json:"truncated"`
	Outputs          []Output        `json:"outputs"`
	Result           json.RawMessage `json:"result"` // any JSON value
	ResultRepr       *string         `json:"result_repr"`
	ResultSource     string          `json:"result_source"` // expression, variable, none
	Error            *ExecError      `json:"error"`
	// StateLost is true when the variables of earlier executions were lost,
	// since the kernel ended during or since the previous one. Files stay.
	StateLost bool         `json:"state_lost"`
	Tests     []TestResult `json:"tests"`
	Reward    *float64     `json:"reward"`
	Points    float64      `json:"points"`
	MaxPoints float64      `json:"max_points"`
	Passed    int          `json:"passed"`
	Total     int          `json:"total"`
	// Files are the workspace's files that changed while it ran; FilesTruncated
	// says that there are more than were looked at.
	Files          []FileChange `json:"files"`
	FilesTruncated bool         `json:"files_truncated"`
}

// What happened to a file.
const (
	ChangeCreated  = "created"
	ChangeModified = "modified"
	ChangeDeleted  = "deleted"
)

// FileChange is a file after an execution, or before it when Change is
// ChangeDeleted.
type FileChange struct {
	FileInfo
	Change string `json:"change"`
}

// ExecError tells why an execution did not end ok.
type ExecError struct {
	Name      string   `json:"name"`
	Value     string   `json:"value"`
	Traceback []string `json:"traceback"`
}

// Receipt is what an execution cost and what its limits did to it, measured from
// outside the sandbox.
type Receipt struct {
	WallMS             float64  `json:"wall_ms"`
	QueueMS            float64  `json:"queue_ms"`
	CPUUserMS          float64  `json:"cpu_user_ms"`
	CPUSystemMS        float64  `json:"cpu_system_ms"`
	ThrottledMS        float64  `json:"throttled_ms"`
	MaxMemoryBytes     int64    `json:"max_memory_bytes"`
	OOMKills           int64    `json:"oom_kills"`
	MaxPids            *int64   `json:"max_pids"` // null where the kernel doesn't tell
	RefusedForks       int64    `json:"refused_forks"`
	MaxOpenFiles       *int64   `json:"max_open_files"` // as far as seen; null when that is unknown
	OutputBytes        int64    `json:"output_bytes"`
	DroppedOutputBytes int64    `json:"dropped_output_bytes"`
	Displays           int64    `json:"displays"`
	DroppedDisplays    int64    `json:"dropped_displays"`
	WorkspaceBytes     int64    `json:"workspace_bytes"` // at its end
	WorkspaceFiles     int64    `json:"workspace_files"`
	LimitsHit          []string `json:"limits_hit"`
}

// Truncated counts the bytes that were dropped from the middle of a stream.
type Truncated struct {
	StdoutBytes int64 `json:"stdout_bytes"`
	StderrBytes int64 `json:"stderr_bytes"`
}

// TestResult is the verdict of one test.
type TestResult struct {
	Name       string  `json:"name"`
	Type       string  `json:"type"`
	Index      int     `json:"index"`
	Passed     bool    `json:"passed"`
	Reward     float64 `json:"reward"` // points earned
	Score      float64 `json:"score"`  // 0 to 1
	Status     string  `json:"status"`
	Integrity  string  `json:"integrity"` // "cooperative": the test ran beside the code
	DurationMS float64 `json:"duration_ms"`
	Message    string  `json:"message"`
}

// ExecutionList is the answer of GET /v1/sessions/{id}/executions.
type ExecutionList struct {
	Data []Execution `json:"data"`
}
