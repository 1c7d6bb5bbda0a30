package client

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"
)

// Any bytes are events, an error, or nothing; never a hang or a panic.
func FuzzStream(f *testing.F) {
	f.Add([]byte(`{"type":"keepalive"}` + "\n" + `{"seq":1,"type":"finished","execution":{"id":"e"}}` + "\n"))
	f.Add([]byte("{}\n\n"))
	f.Add([]byte(`{"seq":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", ndjson)
			_, _ = w.Write(data)
		})
		c := New(Options{URL: "http://tcid", Retries: -1, Wrap: func(http.RoundTripper) http.RoundTripper { return handled{h} }})
		c.pause = time.Microsecond
		s, err := c.Resume(ctx, "e", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		last := int64(0)
		for {
			e, err := s.Next()
			if err != nil {
				return
			}
			if e.Seq <= last {
				t.Fatalf("event %d after %d", e.Seq, last)
			}
			last = e.Seq
		}
	})
}

// handled answers requests without a connection.
type handled struct{ http.Handler }

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	answer := &pipeWriter{header: http.Header{}, PipeWriter: w}
	go func() {
		h.ServeHTTP(answer, r)
		w.Close()
	}()
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {ndjson}}, Body: body, Request: r}, nil
}

type pipeWriter struct {
	header http.Header
	*io.PipeWriter
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (*pipeWriter) WriteHeader(int) {}
