package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "tcid/api/v1"
)

const testSession = "ses_1111111111111111111AB"

// fakeDaemon answers with what it was told, by "METHOD /path", and keeps the
// requests.
type fakeDaemon struct {
	answers map[string]answer

	mu       sync.Mutex
	requests []request
}

type answer struct {
	status int
	header map[string]string
	body   any // a string is sent as it is, anything else as JSON
}

type request struct {
	what, auth, body string
}

// startFake runs a fake daemon behind TCID_SOCKET until the test ends.
func startFake(t *testing.T, answers map[string]answer) *fakeDaemon {
	t.Helper()
	clearEnv(t)
	d := &fakeDaemon{answers: answers}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: d}}
	s.Start()
	t.Cleanup(s.Close)
	t.Setenv("TCID_SOCKET", socket)
	return d
}

// clearEnv keeps what the user has set out of the tests.
func clearEnv(t *testing.T) {
	t.Helper()
	for _, name := range []string{"TCID_SOCKET", "TCID_URL", "TCI_API_KEY", "TCID_DATA_DIR"} {
		t.Setenv(name, "")
	}
}

func (d *fakeDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	what := r.Method + " " + r.RequestURI
	d.mu.Lock()
	d.requests = append(d.requests, request{what, r.Header.Get("Authorization"), string(body)})
	d.mu.Unlock()
	a, ok := d.answers[what]
	if !ok {
		a = refusal(http.StatusTeapot, "unexpected", "the test has no answer for "+what)
	}
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	if text, ok := a.body.(string); ok {
		_, _ = io.WriteString(w, text)
		return
	}
	_ = json.NewEncoder(w).Encode(a.body)
}

// last is the last request.
func (d *fakeDaemon) last(t *testing.T) request {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.requests) == 0 {
		t.Fatal("the daemon was not asked")
	}
	return d.requests[len(d.requests)-1]
}

func refusal(status int, code, message string) answer {
	return answer{status: status, body: v1.ErrorBody{Error: v1.Error{
		Message: message, Type: "some_error", Code: &code, RequestID: "req_1"}}}
}

// tcid runs a command line in this process.
func tcid(stdin string, args ...string) (stdout, stderr string, code int) {
	var out, errs strings.Builder
	code = run(args, strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), code
}

// streamed answers with the events of an execution that showed some things and
// ended as e.
func streamed(e v1.Execution, shown ...v1.Event) answer {
	var lines strings.Builder
	all := append([]v1.Event{{Type: v1.EventStarted, ExecutionID: e.ID, SessionID: e.SessionID}}, shown...)
	for i, event := range append(all, v1.Event{Type: v1.EventFinished, Execution: &e}) {
		event.Seq = int64(i + 1)
		_ = json.NewEncoder(&lines).Encode(event)
	}
	return answer{header: map[string]string{"Content-Type": "application/x-ndjson", "X-Execution-Id": e.ID}, body: lines.String()}
}

// check compares what a command did.
func check(t *testing.T, wantOut, wantErr string, wantCode int) func(stdout, stderr string, code int) {
	t.Helper()
	return func(stdout, stderr string, code int) {
		t.Helper()
		if stdout != wantOut || stderr != wantErr || code != wantCode {
			t.Errorf("stdout %q, stderr %q, code %d\nwant   %q, stderr %q, code %d", stdout, stderr, code, wantOut, wantErr, wantCode)
		}
	}
}

// execution is one that ended with status and showed some things.
func execution(status string, outputs ...v1.Output) v1.Execution {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return v1.Execution{ID: "exe_1", Object: "execution", SessionID: testSession, Index: 1, Status: status,
		QueuedAt: at, Outputs: outputs, ResultSource: "none"}
}
