package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	v1 "tcid/api/v1"
	"tcid/daemon/session"
	"tcid/sandbox/workspace"
)

// Error types on the wire.
const (
	typeInvalid    = "invalid_request_error"
	typeAuth       = "authentication_error"
	typePermission = "permission_error"
	typeNotFound   = "not_found_error"
	typeConflict   = "conflict_error"
	typeRateLimit  = "rate_limit"
	typeServer     = "server_error"
)

// httpError is a failure with its place on the wire.
type httpError struct {
	status     int
	kind, code string
	message    string
	param      string
	retryAfter time.Duration
}

func (e *httpError) Error() string { return e.message }

func badRequest(code, param, format string, args ...any) *httpError {
	return &httpError{status: http.StatusBadRequest, kind: typeInvalid, code: code, param: param, message: fmt.Sprintf(format, args...)}
}

// toHTTP finds the place of any error. What isn't known is internal: the
// client learns no more than that.
func toHTTP(err error) *httpError {
	var h *httpError
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
		return bodyTooLarge(tooLarge.Limit)
	}
	return &httpError{status: http.StatusInternalServerError, kind: typeServer, code: "internal",
		message: "the daemon failed; its log has the details under this request_id"}
}

func bodyTooLarge(limit int64) *httpError {
	return &httpError{status: http.StatusRequestEntityTooLarge, kind: typeInvalid, code: "body_too_large",
		message: fmt.Sprintf("the request body is larger than the %d bytes allowed", limit)}
}

func sessionError(e *session.Error) *httpError {
	h := &httpError{message: e.Message, param: e.Param, retryAfter: e.RetryAfter, kind: typeInvalid, status: http.StatusBadRequest}
	switch e.Code {
	case session.CodeInvalid:
		h.code = "invalid_value"
	case session.CodeUnsupported:
		h.code = "unsupported"
		if e.Param == "language" {
			h.code = "unsupported_language"
		}
	case session.CodeSessionNotFound:
		h.status, h.kind, h.code = http.StatusNotFound, typeNotFound, "session_not_found"
	case session.CodeExecutionUnknown:
		h.status, h.kind, h.code = http.StatusNotFound, typeNotFound, "execution_not_found"
	case session.CodeImageNotFound:
		h.status, h.kind, h.code, h.param = http.StatusNotFound, typeNotFound, "image_not_found", "image"
	case session.CodeConflict:
		h.status, h.kind, h.code = http.StatusConflict, typeConflict, "conflict"
	case session.CodeCapacity:
		h.status, h.kind, h.code = http.StatusTooManyRequests, typeRateLimit, "capacity"
	case session.CodeShuttingDown:
		h.status, h.kind, h.code = http.StatusServiceUnavailable, typeServer, "shutting_down"
	default:
		h.status, h.kind, h.code, h.message = http.StatusInternalServerError, typeServer, "internal", "the daemon failed"
	}
	return h
}

// fileError translates the workspace's errors, whose text is meant for users.
func fileError(err error) *httpError {
	for _, known := range []struct {
		is     error
		status int
		kind   string
		code   string
	}{
		{workspace.ErrInvalidName, http.StatusBadRequest, typeInvalid, "invalid_path"},
		{workspace.ErrLink, http.StatusBadRequest, typeInvalid, "invalid_path"},
		{workspace.ErrNotFound, http.StatusNotFound, typeNotFound, "file_not_found"},
		{workspace.ErrIsDirectory, http.StatusBadRequest, typeInvalid, "is_directory"},
		{workspace.ErrNotDirectory, http.StatusBadRequest, typeInvalid, "not_a_directory"},
		{workspace.ErrNotRegular, http.StatusBadRequest, typeInvalid, "not_a_regular_file"},
		{workspace.ErrNotEmpty, http.StatusConflict, typeConflict, "directory_not_empty"},
		{workspace.ErrExists, http.StatusPreconditionFailed, typeConflict, "file_exists"},
		{workspace.ErrTooLarge, http.StatusRequestEntityTooLarge, typeInvalid, "file_too_large"},
		{workspace.ErrNoSpace, http.StatusInsufficientStorage, typeInvalid, "no_space"},
		{workspace.ErrPermission, http.StatusForbidden, typePermission, "file_permission"},
		{workspace.ErrBusy, http.StatusConflict, typeConflict, "busy"},
		{workspace.ErrClosed, http.StatusNotFound, typeNotFound, "session_not_found"},
	} {
		if errors.Is(err, known.is) {
			return &httpError{status: known.status, kind: known.kind, code: known.code, param: "path", message: err.Error()}
		}
	}
	return nil
}

// fail answers with an error, unless the answer has begun already.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	h := toHTTP(err)
	if h.status >= http.StatusInternalServerError {
		s.Log.Error("a request failed", zap.String("request_id", requestID(r)), zap.String("method", r.Method),
			zap.String("path", r.URL.Path), zap.Error(err))
	}
	if h.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(h.retryAfter.Seconds()))))
	} else {
		w.Header().Set("X-Should-Retry", "false")
	}
	body := v1.ErrorBody{Error: v1.Error{Message: h.message, Type: h.kind, Code: &h.code, RequestID: requestID(r)}}
	if h.param != "" {
		body.Error.Param = &h.param
	}
	writeJSON(w, h.status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil { // the types in v1 always marshal
		panic(fmt.Errorf("encode an answer: %w", err))
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that has gone needs no answer
}
