package transport

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"tcid/daemon/session"
	"tcid/sandbox/workspace"
)

// Error types on the wire.
const (
	TypeInvalid    = "invalid_request_error"
	TypeAuth       = "authentication_error"
	TypePermission = "permission_error"
	TypeNotFound   = "not_found_error"
	TypeConflict   = "conflict_error"
	TypeRateLimit  = "rate_limit"
	TypeServer     = "server_error"
)

// Error is a failure with its place on the wire.
type Error struct {
	Status     int    // of HTTP
	Type       string // the Type* constants
	Code       string // for programs, such as "session_not_found"
	Message    string // for people
	Param      string // the field or parameter that is to blame; may be empty
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Message }

// BadRequest is an Error with status 400. param may be empty.
func BadRequest(code, param, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: TypeInvalid, Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// From finds the place of any error. What isn't known is internal: the
// client learns no more than that.
func From(err error) *Error {
	var h *Error
	if errors.As(err, &h) {
		return h
	}
	var s *session.Error
	if errors.As(err, &s) {
		return sessionError(s)
	}
	if f := fileError(err); f != nil {
		return f
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return BodyTooLarge(tooLarge.Limit)
	}
	return &Error{Status: http.StatusInternalServerError, Type: TypeServer, Code: "internal",
		Message: "the daemon failed; its log has the details under this request_id"}
}

// BodyTooLarge is an Error with status 413.
func BodyTooLarge(limit int64) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Type: TypeInvalid, Code: "body_too_large",
		Message: fmt.Sprintf("the request body is larger than the %d bytes allowed", limit)}
}

func sessionError(e *session.Error) *Error {
	h := &Error{Message: e.Message, Param: e.Param, RetryAfter: e.RetryAfter, Type: TypeInvalid, Status: http.StatusBadRequest}
	switch e.Code {
	case session.CodeInvalid:
		h.Code = "invalid_value"
	case session.CodeUnsupported:
		h.Code = "unsupported"
		if e.Param == "language" {
			h.Code = "unsupported_language"
		}
	case session.CodeSessionNotFound:
		h.Status, h.Type, h.Code = http.StatusNotFound, TypeNotFound, "session_not_found"
	case session.CodeExecutionUnknown:
		h.Status, h.Type, h.Code = http.StatusNotFound, TypeNotFound, "execution_not_found"
	case session.CodeImageNotFound:
		h.Status, h.Type, h.Code, h.Param = http.StatusNotFound, TypeNotFound, "image_not_found", "image"
	case session.CodeGone:
		h.Status, h.Type, h.Code = http.StatusGone, TypeNotFound, "events_gone"
	case session.CodeConflict:
		h.Status, h.Type, h.Code = http.StatusConflict, TypeConflict, "conflict"
	case session.CodeCapacity:
		h.Status, h.Type, h.Code = http.StatusTooManyRequests, TypeRateLimit, "capacity"
	case session.CodeShuttingDown:
		h.Status, h.Type, h.Code = http.StatusServiceUnavailable, TypeServer, "shutting_down"
	default:
		h.Status, h.Type, h.Code, h.Message = http.StatusInternalServerError, TypeServer, "internal", "the daemon failed"
	}
	return h
}

// fileError translates the workspace's errors, whose text is meant for users.
func fileError(err error) *Error {
	for _, known := range []struct {
		is     error
		status int
		kind   string
		code   string
	}{
		{workspace.ErrInvalidName, http.StatusBadRequest, TypeInvalid, "invalid_path"},
		{workspace.ErrLink, http.StatusBadRequest, TypeInvalid, "invalid_path"},
		{workspace.ErrNotFound, http.StatusNotFound, TypeNotFound, "file_not_found"},
		{workspace.ErrIsDirectory, http.StatusBadRequest, TypeInvalid, "is_directory"},
		{workspace.ErrNotDirectory, http.StatusBadRequest, TypeInvalid, "not_a_directory"},
		{workspace.ErrNotRegular, http.StatusBadRequest, TypeInvalid, "not_a_regular_file"},
		{workspace.ErrNotEmpty, http.StatusConflict, TypeConflict, "directory_not_empty"},
		{workspace.ErrExists, http.StatusPreconditionFailed, TypeConflict, "file_exists"},
		{workspace.ErrTooLarge, http.StatusRequestEntityTooLarge, TypeInvalid, "file_too_large"},
		{workspace.ErrNoSpace, http.StatusInsufficientStorage, TypeInvalid, "no_space"},
		{workspace.ErrPermission, http.StatusForbidden, TypePermission, "file_permission"},
		{workspace.ErrBusy, http.StatusConflict, TypeConflict, "busy"},
		{workspace.ErrClosed, http.StatusNotFound, TypeNotFound, "session_not_found"},
	} {
		if errors.Is(err, known.is) {
			return &Error{Status: known.status, Type: known.kind, Code: known.code, Param: "path", Message: err.Error()}
		}
	}
	return nil
}
