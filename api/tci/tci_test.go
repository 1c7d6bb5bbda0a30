package tci

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tcid/api/transport"
	"tcid/daemon/session"
)

func TestRoute(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/tci/execute":         "/v1/tci/execute",
		"/v1//tci/execute":        "/v1/tci/execute",
		"/tci/execute":            "/v1/tci/execute",
		"/v1/v1/tci/sessions":     "/v1/tci/sessions",
		"//v1/v1/v1//tci///x":     "",
		"/tci/sessions/":          "/v1/tci/sessions",
		"/v1/tci":                 "",
		"/v2/tci/execute":         "",
		"/v1/tci/execute/v1":      "",
		"/v1/sessions":            "",
		"/v1/x/../tci/execute":    "",
		"/tci/v1/execute":         "",
		"":                        "",
		"/v1/tci/execute/../x":    "",
		"/V1/tci/execute":         "",
		"/v1/tci/execute?a=1/tci": "",
	} {
		if got, ok := Route(path); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", path, got, ok)
		}
	}
}

func FuzzRoute(f *testing.F) {
	for _, seed := range []string{"/v1//tci/execute", "/tci/sessions", "/", "tci/execute", "/v1/v1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		route, ok := Route(path)
		if !ok {
			return
		}
		if again, _ := Route(route); again != route || !Owns(route) {
			t.Errorf("%q becomes %q, and that %q", path, route, again)
		}
	})
}

func TestDisplayed(t *testing.T) {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for _, c := range []struct {
		name string
		data map[string]any
		want string
	}{
		{"strings", map[string]any{"text/plain": "p", "image/svg+xml": "<svg>"}, `{"image/svg+xml":"<svg>","text/plain":"p"}`},
		{"objects", map[string]any{"application/json": raw(`{"a":1}`), "application/vnd.vega.v5+json": raw(`{}`)}, `{"application/json":{"a":1},"application/vnd.vega.v5+json":{}}`},
		{"a list where an object belongs", map[string]any{"application/json": raw(`[1]`), "text/plain": "p"}, `{"text/plain":"p"}`},
		{"an object where text belongs", map[string]any{"text/html": raw(`{}`), "text/plain": "p"}, `{"text/plain":"p"}`},
		{"other types", map[string]any{"application/vnd.plotly.v1+json": raw(`{}`), "text/html": "h"}, `{"text/html":"h"}`},
		{"nothing left", map[string]any{"application/x": "v"}, `{"text/plain":"{\"application/x\":\"v\"}"}`},
		{"nothing left of much", map[string]any{"application/x": strings.Repeat("v", maxFolded)}, `{"text/plain":"[display data of 1 MIME types that this route can't carry]"}`},
	} {
		b, err := json.Marshal(displayed(c.data))
		if got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(b)); err != nil || got != c.want {
			t.Errorf("%s: %s, %v", c.name, got, err)
		}
	}
}

func TestTimes(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	b, err := json.Marshal(sessionOf(session.Info{ID: "ses_1", CreatedAt: start}))
	want := `{"id":"ses_1","execute_count":0,"started_at":"2026-01-02T02:04:05.000000Z","last_execute_at":"2026-01-02T02:04:05.000000Z","expires_at":"9999-12-31T23:59:59.000000Z"}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}

// Together's first Python client fails on any number in an error.
func TestErrorsHaveNoNumbers(t *testing.T) {
	for _, e := range []*transport.Error{
		transport.BadRequest("invalid_value", "code", "bad"),
		transport.BodyTooLarge(1),
		transport.From(&session.Error{Code: session.CodeCapacity, Message: "full"}),
		{},
	} {
		b, err := json.Marshal(BodyOf(e, "req_1"))
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.Unmarshal(b, &body); err != nil {
			t.Fatal(err)
		}
		var check func(v any)
		check = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				for _, inner := range v {
					check(inner)
				}
			case []any:
				for _, inner := range v {
					check(inner)
				}
			case string, nil:
			default:
				t.Errorf("%s holds %v", b, v)
			}
		}
		check(body)
	}
}

// A result of an execution that never ran is a failed request.
func TestAnswers(t *testing.T) {
	h := &Handler{}
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	never := session.Result{Error: &session.ExecError{Name: "Cancelled", Value: "the session ended"}}
	if got := text(h.answerOf(never)); got != `{"data":null,"errors":["the session ended"]}` {
		t.Error(got)
	}
	failed := session.Result{SessionID: "ses_1", StartedAt: time.Now(), Error: &session.ExecError{Name: "E", Value: "v"},
		Outputs: []session.Output{{Type: "error", Text: "Traceback\nE: v"}}}
	if got := text(h.answerOf(failed)); got != `{"errors":null,"data":{"session_id":"ses_1","status":"success","outputs":[{"type":"error","data":"Traceback\nE: v"}],"errors":"E: v"}}` {
		t.Error(got)
	}
	h.NoDataErrors = true
	if got := text(h.answerOf(failed)); strings.Contains(got, "E: v\"}}") {
		t.Error(got)
	}
	if got := text(h.answerOf(session.Result{SessionID: "ses_1", StartedAt: time.Now()})); !strings.Contains(got, `"outputs":[]`) {
		t.Error(got)
	}
}
