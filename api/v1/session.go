package v1

import "time"

// Session states.
const (
	StateReady   = "ready"
	StateBusy    = "busy"
	StateClosed  = "closed"
	StateExpired = "expired"
	StateFailed  = "failed"
)

// SessionSpec is the body of POST /v1/sessions. Every field may be left out.
type SessionSpec struct {
	// Language is "python", also when empty.
	Language string `json:"language,omitempty"`
	// Isolation is how the kernel is started: "fork" forks it from a process that
	// has imported the image's modules; "fresh" starts an interpreter, in a user
	// namespace of the session's own. Default "fork".
	Isolation string `json:"isolation,omitempty"`
	// TTL ends the session this many seconds after its creation, whatever it
	// does. 0 or absent: no such end.
	TTL *float64 `json:"ttl,omitempty"`
	// IdleTimeout ends the session this many seconds after its last use.
	IdleTimeout *float64          `json:"idle_timeout,omitempty"`
	Env         map[string]string `json:"env,omitempty"`
	// Cwd is the kernel's first working directory, relative to the workspace.
	Cwd       string            `json:"cwd,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	Resources *Resources        `json:"resources,omitempty"`
	Network   *Network          `json:"network,omitempty"`
	Files     []InlineFile      `json:"files,omitempty"`
	// Image is the name or digest of an image; empty means "default".
	Image string `json:"image,omitempty"`
}

// Resources are the limits of one session. Zero fields mean the default.
type Resources struct {
	MemoryMB int64   `json:"memory_mb,omitempty"`
	CPUs     float64 `json:"cpus,omitempty"`
	Pids     int64   `json:"pids,omitempty"`
	DiskMB   int64   `json:"disk_mb,omitempty"`
}

// Network says what the session may reach. The one mode so far is "none".
type Network struct {
	Mode  string   `json:"mode"`
	Allow []string `json:"allow,omitempty"`
}

// InlineFile is a file sent inside a JSON body.
type InlineFile struct {
	Name string `json:"name"`
	// Encoding is "string" (UTF-8 text) or "base64".
	Encoding string `json:"encoding"`
	Content  string `json:"content"`
}

// SessionPatch is the body of PATCH /v1/sessions/{id}; absent fields stay.
type SessionPatch struct {
	TTL         *float64          `json:"ttl,omitempty"`
	IdleTimeout *float64          `json:"idle_timeout,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// Session is what the daemon tells about a session.
type Session struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"` // "session"
	Language       string            `json:"language"`
	State          string            `json:"state"`
	CreatedAt      time.Time         `json:"created_at"`
	ExpiresAt      *time.Time        `json:"expires_at"`
	LastExecuteAt  *time.Time        `json:"last_execute_at"`
	ExecuteCount   int64             `json:"execute_count"`
	Metadata       map[string]string `json:"metadata"`
	Resources      Resources         `json:"resources"`
	Network        Network           `json:"network"`
	Isolation      Isolation         `json:"isolation"`
	Image          string            `json:"image"`
	ImageDigest    string            `json:"image_digest"`
	IdleTimeout    float64           `json:"idle_timeout"`
	KernelRestarts int64             `json:"kernel_restarts"`
	Sandbox        string            `json:"sandbox"`          // names its cgroup on the host
	Reason         string            `json:"reason,omitempty"` // why it closed, expired or failed
}

// Isolation says what is enforced around a session on this host.
type Isolation struct {
	Start      string   `json:"start"` // "fork" or "fresh"
	Namespaces []string `json:"namespaces"`
	Seccomp    bool     `json:"seccomp"`
	Cgroup     string   `json:"cgroup"` // "v1", "hybrid" or "v2"
	Limits     []string `json:"limits"` // what binds: "memory", "swap", "cpu", "pids", "disk"
	// Warnings say where sessions don't start as they should, and why.
	Warnings []string `json:"warnings,omitempty"`
	// Weaknesses of the host; only in the answer of GET /v1/version.
	Weaknesses []Weakness `json:"weaknesses,omitempty"`
}

// Weakness is something that makes the walls around sessions thinner on this
// host; "tcid doctor" tells what to do about it.
type Weakness struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// SessionList is the answer of GET /v1/sessions.
type SessionList struct {
	Data []Session `json:"data"`
	// Next is the id to pass as after= for the next page, or null.
	Next *string `json:"next"`
}

// Closed is the answer of DELETE /v1/sessions/{id}.
type Closed struct {
	ID     string `json:"id"`
	Closed bool   `json:"closed"`
}

// ClosedCount is the answer of DELETE /v1/sessions?metadata.k=v.
type ClosedCount struct {
	Closed int `json:"closed"`
}
