package v1

// Image describes an image that sessions can be made from.
type Image struct {
	Name     string   `json:"name"`
	Digest   string   `json:"digest"`
	Python   string   `json:"python"`
	Packages []string `json:"packages"`
	Preload  []string `json:"preload"`
	Default  bool     `json:"default"`
}

// ImageList is the answer of GET /v1/images.
type ImageList struct {
	Data []Image `json:"data"`
}

// Version is the answer of GET /v1/version.
type Version struct {
	Version   string    `json:"version"`
	API       []string  `json:"api"`
	Features  []string  `json:"features"`
	Isolation Isolation `json:"isolation"`
	Limits    Limits    `json:"limits"`
}

// Limits are the daemon's published limits and defaults; times in seconds.
type Limits struct {
	ExecTimeout          float64   `json:"exec_timeout"`
	MaxExecTimeout       float64   `json:"max_exec_timeout"`
	IdleTimeout          float64   `json:"idle_timeout"`
	SessionsPerPrincipal int       `json:"sessions_per_principal"`
	QueuePerPrincipal    int       `json:"queue_per_principal"`
	CodeBytes            int64     `json:"code_bytes"`
	BodyBytes            int64     `json:"body_bytes"`
	InlineFileBytes      int64     `json:"inline_file_bytes"`
	FileBytes            int64     `json:"file_bytes"`
	OutputBytes          int64     `json:"output_bytes"`
	DisplayBytes         int64     `json:"display_bytes"`
	TestsPerExecution    int       `json:"tests_per_execution"`
	TestTimeout          float64   `json:"test_timeout"`
	Resources            Resources `json:"resources"`
	MaxResources         Resources `json:"max_resources"`
}

// Health is the answer of /healthz and /readyz.
type Health struct {
	Status string `json:"status"` // ok, starting, draining
}

// ErrorBody is what every answer outside 2xx holds.
type ErrorBody struct {
	Error Error `json:"error"`
}

// Error is the hybrid error shape: Together's clients read message, type,
// param and code; code is a string or null, never a number.
type Error struct {
	Message   string  `json:"message"`
	Type      string  `json:"type"`
	Param     *string `json:"param"`
	Code      *string `json:"code"`
	RequestID string  `json:"request_id"`
}
