package api

import (
	"math"
	"net/http"
	"strconv"

	"go.uber.org/zap"

	"tcid/api/tci"
	"tcid/api/transport"
	v1 "tcid/api/v1"
)

// fail answers with an error, unless the answer has begun already.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	h := transport.From(err)
	if h.Status >= http.StatusInternalServerError {
		s.Log.Error("a request failed", zap.String("request_id", transport.RequestID(r)), zap.String("method", r.Method),
			zap.String("path", r.URL.Path), zap.Error(err))
	}
	if h.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(h.RetryAfter.Seconds()))))
	} else {
		w.Header().Set("X-Should-Retry", "false")
	}
	if tci.Owns(r.URL.Path) {
		transport.WriteJSON(w, h.Status, tci.BodyOf(h, transport.RequestID(r)))
		return
	}
	body := v1.ErrorBody{Error: v1.Error{Message: h.Message, Type: h.Type, Code: &h.Code, RequestID: transport.RequestID(r)}}
	if h.Param != "" {
		body.Error.Param = &h.Param
	}
	transport.WriteJSON(w, h.Status, body)
}
