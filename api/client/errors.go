package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	v1 "tcid/api/v1"
)

// Error is a refusal or failure that the daemon told.
type Error struct {
	Status     int // of HTTP
	Type       string
	Code       string // such as session_not_found; see the API description
	Message    string
	Param      string // the field at fault, when there is one
	RequestID  string
	RetryAfter time.Duration // when it makes sense to try again; 0: it doesn't
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("the daemon answered with HTTP status %d", e.Status)
	}
	return e.Message
}

// IsNotFound tells whether a session, execution, image or file does not exist.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

func readError(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id")}
	var body struct {
		v1.ErrorBody
		v1.Health // what /readyz answers
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // what is missing fails below
	if bytes.HasPrefix(text, []byte("Client sent an HTTP request to an HTTPS server")) {
		e.Message = "the daemon speaks TLS at this address: write https:// in the place of http://"
	}
	if err := json.Unmarshal(text, &body); err == nil {
		e.Type, e.Message = body.Error.Type, body.Error.Message
		if e.Message == "" && body.Status != "" {
			e.Message = "the daemon takes no work: it is " + body.Status
		}
		if e.RequestID == "" {
			e.RequestID = body.Error.RequestID
		}
		if body.Error.Code != nil {
			e.Code = *body.Error.Code
		}
		if body.Error.Param != nil {
			e.Param = *body.Error.Param
		}
	}
	if s, err := strconv.Atoi(strings.TrimSpace(resp.Header.Get("Retry-After"))); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// unreachableError means that there is no daemon, or none for this user.
type unreachableError struct {
	where string
	err   error
}

func (e *unreachableError) Error() string {
	switch {
	case errors.Is(e.err, fs.ErrPermission):
		return fmt.Sprintf("you may not use the daemon at %s: be root or a member of its group (tcid)", e.where)
	case errors.Is(e.err, fs.ErrNotExist):
		return fmt.Sprintf("there is no daemon at %s: start one with \"tcid serve\", or name its socket with --socket", e.where)
	}
	return fmt.Sprintf("the daemon at %s can't be reached: %v; is \"tcid serve\" running?", e.where, e.err)
}

func (e *unreachableError) Unwrap() error { return e.err }

// IsUnreachable tells whether the daemon could not be connected to.
func IsUnreachable(err error) bool {
	var e *unreachableError
	return errors.As(err, &e)
}
