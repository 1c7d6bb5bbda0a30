package v1

import (
	"encoding/json"
	"time"
)

// Types of events. Those that are no Output* constant.
const (
	EventStarted       = "started"             // with ExecutionID and SessionID
	EventUpdateDisplay = "update_display_data" // new data for what DisplayID names
	EventClearOutput   = "clear_output"        // what was shown so far is to go
	EventTest          = "test"                // a verdict, as soon as it is there
	EventTruncated     = "truncated"           // so many Events are no longer kept
	EventKeepalive     = "keepalive"           // nothing has happened; without a number
	EventFinished      = "finished"            // the last one, always
)

// Event is a line of a stream. Type is one of the Event* and Output* constants
// and says which of the other fields there are.
type Event struct {
	// Seq numbers the events of an execution from 1, without gaps; what a client
	// passes as after to go on behind it. 0: a keepalive.
	Seq  int64      `json:"seq,omitempty"`
	Type string     `json:"type"`
	Time *time.Time `json:"time,omitempty"` // when the daemon got to know of it

	ExecutionID string `json:"execution_id,omitempty"`
	SessionID   string `json:"session_id,omitempty"`

	// Text is a piece of stdout or stderr.
	Text string `json:"text,omitempty"`

	// Data is MIME type to value, as in Output, of what is displayed.
	Data      map[string]any  `json:"data,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"` // an object
	DisplayID string          `json:"display_id,omitempty"`

	// Wait says that what was shown goes only when the next output comes.
	Wait bool `json:"wait,omitempty"`

	// Name, Value and Traceback are those of an error.
	Name      string   `json:"name,omitempty"`
	Value     string   `json:"value,omitempty"`
	Traceback []string `json:"traceback,omitempty"`

	Test *TestResult `json:"test,omitempty"`

	// Events counts the events up to Seq that are missing before a truncated.
	Events int64 `json:"events,omitempty"`

	Execution *Execution `json:"execution,omitempty"`
}

// CompleteSpec is the body of POST /v1/sessions/{id}/complete.
type CompleteSpec struct {
	Code string `json:"code"`
	// Cursor is where to complete, in characters (code points) from the start of
	// Code; nil: at its end.
	Cursor *int64 `json:"cursor,omitempty"`
}

// Completions are what could stand in Code between the characters Start and End.
type Completions struct {
	Matches []string `json:"matches"`
	Start   int64    `json:"start"`
	End     int64    `json:"end"`
}

// IsCompleteSpec is the body of POST /v1/sessions/{id}/is_complete.
type IsCompleteSpec struct {
	Code string `json:"code"`
}

// Answers to whether code is complete.
const (
	CodeComplete   = "complete"
	CodeIncomplete = "incomplete" // more lines have to follow
	CodeInvalid    = "invalid"    // no line that follows would make it run
)

// IsComplete says whether code can be run as it is. Indent is what the next line
// should begin with, when Status is CodeIncomplete.
type IsComplete struct {
	Status string `json:"status"`
	Indent string `json:"indent"`
}
