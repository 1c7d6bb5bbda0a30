package transport

import (
	"net/http"
	"strconv"
	"time"
)

// Heartbeat is how often an answer that takes long says that it will come.
// Clients and proxies give up on connections that say nothing for a minute.
const Heartbeat = 10 * time.Second

// WriteJSON answers with a JSON value.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	a := &answer{to: w, status: status}
	// A client that has gone needs no answer, and the wire types always marshal.
	_ = Encode(a, body)
	_, _ = a.Write([]byte{'\n'})
	if !a.begun {
		w.Header().Set("Content-Length", strconv.Itoa(a.buffer.Len()))
	}
	_ = a.flush()
}

// Await answers with status 200 and what answer returns, once done is closed.
// When that takes long, the header and then white space, which JSON allows
// before its value, are sent meanwhile. It returns false when the client has
// gone before.
func Await(w http.ResponseWriter, r *http.Request, done <-chan struct{}, answer func() any) bool {
	beat := time.NewTicker(Heartbeat)
	defer beat.Stop()
	control := http.NewResponseController(w)
	begun := false
	for {
		select {
		case <-done:
			if begun {
				_ = Encode(w, answer()) // a client that has gone needs no answer
			} else {
				WriteJSON(w, http.StatusOK, answer())
			}
			return true
		case <-beat.C:
			if !begun {
				begun = true
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("X-Accel-Buffering", "no")
				w.WriteHeader(http.StatusOK)
			}
			_, _ = w.Write([]byte{' '})
			_ = control.Flush()
		case <-r.Context().Done():
			return false
		}
	}
}
