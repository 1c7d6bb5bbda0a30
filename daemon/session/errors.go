package session

import (
	"errors"
	"fmt"
	"time"
)

// Code is the kind of a failure, as the program that asked can act on it.
type Code string

// The codes. Anything that is not an *Error is CodeInternal to the outside.
const (
	CodeInvalid          Code = "invalid"           // the request is wrong; Param names the field
	CodeSessionNotFound  Code = "session_not_found" // unknown, closed, expired, or somebody else's
	CodeExecutionUnknown Code = "execution_not_found"
	CodeImageNotFound    Code = "image_not_found"
	CodeGone             Code = "events_gone" // it was there
	CodeConflict         Code = "conflict"    // not possible in the present state
	CodeCapacity         Code = "capacity"    // try again after RetryAfter
	CodeShuttingDown     Code = "shutting_down"
	CodeUnsupported      Code = "unsupported" // a value that this daemon doesn't offer
	CodeInternal         Code = "internal"
)

// Error is a failure that the caller is told about in full. Message is for the
// user; Err, when set, is for the log only.
type Error struct {
	Code       Code
	Message    string
	Param      string        // the field at fault, when there is one
	RetryAfter time.Duration // with CodeCapacity and CodeShuttingDown
	Err        error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first *Error in err's chain, or CodeInternal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

func invalid(param, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Param: param, Message: fmt.Sprintf(format, args...)}
}
