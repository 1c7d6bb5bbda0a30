package transport

import (
	"context"
	"net/http"

	"tcid/daemon/session"
)

type (
	requestIDKey struct{}
	callerKey    struct{}
)

// WithRequestID returns the request with its id.
func WithRequestID(r *http.Request, id string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
}

// RequestID returns what WithRequestID has set.
func RequestID(r *http.Request) string {
	id, _ := r.Context().Value(requestIDKey{}).(string)
	return id
}

// WithCaller returns the request with the principal that it comes from.
func WithCaller(r *http.Request, p session.Principal) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, p))
}

// Caller returns what WithCaller has set.
func Caller(r *http.Request) session.Principal {
	p, _ := r.Context().Value(callerKey{}).(session.Principal)
	return p
}
