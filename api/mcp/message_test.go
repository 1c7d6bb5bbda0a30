package mcp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

// Nothing that a client sends breaks the server, and what it refuses it refuses
// by an error that has a text.
func FuzzMessage(f *testing.F) {
	for _, text := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-06-18"}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, `[]`, `{`, ``, `null`, `{"jsonrpc":"2.0","id":{}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_python","arguments":[]}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"tci://a/b"}}`, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":5}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := NewConnection(nil, Options{}) // no message of these makes a session
		defer c.Close(t.Context())
		c.version = versions[0]
		m, refused := parse(text)
		if refused != nil {
			if refused.Message == "" || refused.Code == 0 {
				t.Errorf("%q is refused without a reason", text)
			}
			return
		}
		if m.Method == "tools/call" && (bytes.Contains(text, []byte("run_python")) || bytes.Contains(text, []byte("upload"))) {
			return // needs a daemon
		}
		a := c.handle(t.Context(), m, nil)
		if (a != nil) != m.isRequest() {
			t.Fatalf("%q: answer %+v", text, a)
		}
		if a == nil {
			return
		}
		if (a.Result == nil) == (a.Error == nil) {
			t.Errorf("%q: neither result nor error, or both: %+v", text, a)
		}
		if _, err := json.Marshal(a); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", MaxMessage)
	r := bufio.NewReader(strings.NewReader("a\n\n" + long + "\n" + "b\nc"))
	for i, want := range []struct {
		line string
		err  error
	}{{"a\n", nil}, {"\n", nil}, {"", errTooLong}, {"b\n", nil}, {"c", io.EOF}, {"", io.EOF}} {
		line, err := readLine(r)
		if string(line) != want.line || !errors.Is(err, want.err) {
			t.Errorf("line %d: %.20q, %v", i, line, err)
		}
	}
}

// What tools promise is valid JSON, and their names are what models may call.
func TestToolsAreWhole(t *testing.T) {
	for _, tool := range tools() {
		if known(tool.Name) == "" && len(tool.InputSchema["properties"].(map[string]any)) > 0 {
			t.Errorf("%s: nothing is known of its arguments", tool.Name)
		}
		c := NewConnection(nil, Options{})
		_, refused := c.callTool(t.Context(), json.RawMessage(`{"name":"`+tool.Name+`","arguments":{"none":1}}`), nil)
		if refused != nil {
			t.Errorf("%s is listed and can't be called: %v", tool.Name, refused)
		}
		_ = c.Close(t.Context())
	}
}
