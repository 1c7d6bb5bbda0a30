package mcp

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/api/transport"
)

const (
	hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"experimental":{"x":{}}},"clientInfo":{"name":"raw","version":"1"}}}`
	ready = `{"jsonrpc":"2.0","method":"notifications/initialized","params":{"_meta":{"x":"y"}}}`
	ping  = `{"jsonrpc":"2.0","id":"again","method":"ping"}`
)

// newTestHandler returns a handler without a daemon: a call that needs one
// panics.
func newTestHandler(panics *atomic.Int32) *Handler {
	return NewHandler(func(*http.Request) Daemon { return nil }, Options{Panicked: func(any, []byte) { panics.Add(1) }})
}

func send(h *Handler, id, text string) (*httptest.ResponseRecorder, error) {
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if id != "" {
		r.Header.Set(sessionHeader, id)
	}
	w := httptest.NewRecorder()
	err := h.Post(w, r)
	return w, err
}

func begin(tb testing.TB, h *Handler) string {
	tb.Helper()
	w, err := send(h, "", hello)
	if err != nil || w.Header().Get(sessionHeader) == "" {
		tb.Fatalf("initialize: %d, %v", w.Code, err)
	}
	return w.Header().Get(sessionHeader)
}

// Nothing that a client sends breaks the server, and what it refuses it refuses
// by an error that has a text.
func FuzzMessage(f *testing.F) {
	for _, text := range []string{
		ping, ready, hello, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, `[]`, `{`, ``, `null`, `{"jsonrpc":"2.0","id":{}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_python","arguments":[]}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_files","arguments":{"path":1},"_meta":{"progressToken":[]}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"tci://a/b"}}`, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
	} {
		f.Add([]byte(text))
	}
	var panics atomic.Int32
	h := newTestHandler(&panics)
	f.Cleanup(func() { _ = h.Close(context.Background()) })
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("run_python")) && bytes.Contains(text, []byte("code")) || bytes.Contains(text, []byte("upload_file")) {
			return // needs a daemon
		}
		id := begin(t, h)
		w, err := send(h, id, string(text))
		if err != nil && err.Error() == "" || err == nil && w.Code != http.StatusOK && w.Code != http.StatusAccepted && w.Body.Len() == 0 {
			t.Errorf("%q is refused without a reason: %d, %v", text, w.Code, err)
		}
		if w, err := send(h, id, ping); err != nil || !strings.Contains(w.Body.String(), `"result":{}`) {
			t.Errorf("after %q: %d %s, %v", text, w.Code, w.Body, err)
		}
		r := httptest.NewRequest(http.MethodDelete, "/mcp", nil)
		r.Header.Set(sessionHeader, id)
		err = h.Delete(httptest.NewRecorder(), r)
		h.mu.Lock()
		defer h.mu.Unlock()
		if err != nil || len(h.connections) != 0 || panics.Load() != 0 {
			t.Errorf("after %q: %v, %d connections, %d panics", text, err, len(h.connections), panics.Load())
		}
	})
}

// Connections that live on keep nothing large of what their clients have sent,
// neither the SDK nor we.
func TestNothingLargeIsKept(t *testing.T) {
	var panics atomic.Int32
	h := newTestHandler(&panics)
	defer h.Close(t.Context())
	long := strings.Repeat("x", 4<<20)
	for _, text := range []string{strings.Replace(hello, "raw", long, 1), strings.Replace(ready, "y", long, 1), strings.Replace(ping, "again", long, 1),
		strings.Replace(ready, `"params"`, `"Method":"tools/call","params"`, 1) + strings.Repeat(" ", maxPlain)} {
		var refused *transport.Error
		if _, err := send(h, "", text); !errors.As(err, &refused) || refused.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("%.40q...: %v", text, err)
		}
	}
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_files","arguments":{"path":"` + long + `"}}}`
	before := inUse()
	for range 10 {
		if w, err := send(h, begin(t, h), call); err != nil || !strings.Contains(w.Body.String(), "there is no session") {
			t.Fatalf("%d %s, %v", w.Code, w.Body, err)
		}
	}
	if grown := inUse() - before; grown > 8<<20 {
		t.Errorf("10 connections keep %d bytes", grown)
	}
	for _, c := range h.connections {
		if len(c.posts.by) != 0 {
			t.Errorf("%d requests are kept", len(c.posts.by))
		}
	}
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A fault of ours is one call's, not the process's.
func TestPanic(t *testing.T) {
	var panics atomic.Int32
	h := newTestHandler(&panics)
	defer h.Close(t.Context())
	id := begin(t, h)
	w, err := send(h, id, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_python","arguments":{"code":"1"}}}`)
	if err != nil || !strings.Contains(w.Body.String(), "-32603") || panics.Load() != 1 {
		t.Errorf("%d %s, %v, %d panics", w.Code, w.Body, err, panics.Load())
	}
	if w, err := send(h, id, ping); err != nil || !strings.Contains(w.Body.String(), `"result":{}`) {
		t.Errorf("after it: %d %s, %v", w.Code, w.Body, err)
	}
}

// What is listed can be called, and tells its arguments.
func TestToolsAreWhole(t *testing.T) {
	c := newConnection(nil, Options{}, "")
	defer c.Close(t.Context())
	here, there := sdk.NewInMemoryTransports()
	if _, err := c.server.Connect(t.Context(), here, nil); err != nil {
		t.Fatal(err)
	}
	s, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(t.Context(), there, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools() {
		result, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: tool.Name, Arguments: map[string]any{"none": 1}})
		if err != nil || !result.IsError || !strings.Contains(result.Content[0].(*sdk.TextContent).Text, tool.Name+" takes: "+known(tool.Name)) {
			t.Errorf("%s: %+v, %v", tool.Name, result, err)
		}
		if known(tool.Name) == "" && tool.Name != "list_sessions" {
			t.Errorf("%s: nothing is known of its arguments", tool.Name)
		}
	}
}
