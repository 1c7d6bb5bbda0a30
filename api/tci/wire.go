package tci

import (
	"time"

	"tcid/api/transport"
)

// executeRequest is the body of POST /tci/execute. Fields beside these are
// ignored: Together's clients let their users add any.
type executeRequest struct {
	Code      *string `json:"code"`
	Language  string  `json:"language"`   // "python", which is also the default
	SessionID string  `json:"session_id"` // empty or null: a new session
	Files     []file  `json:"files"`
}

// file is written into the workspace before the code runs.
type file struct {
	Name     string  `json:"name"`
	Encoding string  `json:"encoding"` // string or base64
	Content  *string `json:"content"`
}

// Executed is the answer to a request that ran, whatever became of the code.
type Executed struct {
	Errors *struct{} `json:"errors"` // null
	Data   Execution `json:"data"`
}

// Execution is what the code showed.
type Execution struct {
	SessionID string   `json:"session_id"`
	Status    string   `json:"status"` // "success": the one value that the description has
	Outputs   []Output `json:"outputs"`
	// Errors is set when an output is an error. Together's service had no such
	// field, but the samples for its first Python client look at it.
	Errors string `json:"errors,omitempty"`
}

// Output is one item of what the code showed. Data is a string for stdout,
// stderr and error, and an object of MIME type to value for display_data and
// execute_result.
type Output struct {
	Type string `json:"type"`
	Data any    `json:"data"`
}

// Failed is the answer to a request that did not run.
type Failed struct {
	Data   *struct{} `json:"data"` // null
	Errors []string  `json:"errors"`
}

// SessionList is the answer of GET /tci/sessions.
type SessionList struct {
	Errors *struct{} `json:"errors"` // null
	Data   sessions  `json:"data"`
}

type sessions struct {
	Sessions []Session `json:"sessions"`
}

// Session is one live session.
type Session struct {
	ID            string    `json:"id"`
	ExecuteCount  int64     `json:"execute_count"`
	StartedAt     timestamp `json:"started_at"`
	LastExecuteAt timestamp `json:"last_execute_at"`
	ExpiresAt     timestamp `json:"expires_at"`
}

// timestamp is a time as Together's service wrote it: always six digits of the
// second's fraction.
type timestamp time.Time

func (t timestamp) MarshalText() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format("2006-01-02T15:04:05.000000Z")), nil
}

// ErrorBody is the answer outside 2xx. It serves the clients that look for
// Together's general error object as well as those that look for the errors of
// this route.
type ErrorBody struct {
	Data   *struct{}   `json:"data"` // null
	Errors []string    `json:"errors"`
	Error  errorObject `json:"error"`
}

// errorObject has only strings and nulls: the first Python client fails on a
// number.
type errorObject struct {
	Message   string  `json:"message"`
	Type      string  `json:"type"`
	Param     *string `json:"param"`
	Code      string  `json:"code"`
	RequestID string  `json:"request_id"`
}

// BodyOf shapes an error for the wire.
func BodyOf(e *transport.Error, requestID string) ErrorBody {
	b := ErrorBody{Errors: []string{e.Message}, Error: errorObject{
		Message: e.Message, Type: e.Type, Code: e.Code, RequestID: requestID,
	}}
	if e.Param != "" {
		b.Error.Param = &e.Param
	}
	return b
}
