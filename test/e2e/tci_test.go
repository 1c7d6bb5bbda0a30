package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "tcid/api/v1"
	"tcid/test/contract"
)

// tciAnswer is any answer of the routes of Together's Code Interpreter.
type tciAnswer struct {
	Status int
	Header http.Header
	Errors []string `json:"errors"`
	Data   *struct {
		SessionID string    `json:"session_id"`
		Status    string    `json:"status"`
		Outputs   []tciItem `json:"outputs"`
		Errors    string    `json:"errors"`
		Sessions  []struct {
			ID            string    `json:"id"`
			ExecuteCount  int       `json:"execute_count"`
			StartedAt     time.Time `json:"started_at"`
			LastExecuteAt time.Time `json:"last_execute_at"`
			ExpiresAt     time.Time `json:"expires_at"`
		} `json:"sessions"`
	} `json:"data"`
	Error *struct {
		Message, Type, Code string
		Param               *string
	} `json:"error"`
}

type tciItem struct {
	Type string
	Data any
}

// tciCall is one request to those routes.
type tciCall struct {
	method, path string
	body         any // marshalled, unless it is a string
	retry        int // X-Stainless-Retry-Count
}

// tci sends a request. The error is the context's, when that ended before.
func (d *daemon) tci(ctx context.Context, t *testing.T, c tciCall) (tciAnswer, error) {
	t.Helper()
	var answer tciAnswer
	text, isText := c.body.(string)
	if !isText && c.body != nil {
		b, err := json.Marshal(c.body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	if c.method == "" {
		c.method = http.MethodPost
	}
	if c.path == "" {
		c.path = "/v1/tci/execute"
	}
	req, err := http.NewRequestWithContext(ctx, c.method, "http://localhost"+c.path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.retry > 0 {
		req.Header.Set("X-Stainless-Retry-Count", fmt.Sprint(c.retry))
	}
	web := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: d.contract.RoundTripper(&http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.state, "tcid.sock"))
			},
		})}
	resp, err := web.Do(req)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer, err
	}
	answer.Status, answer.Header = resp.StatusCode, resp.Header
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Errorf("%s %s: %d %.300s", c.method, c.path, resp.StatusCode, body)
	}
	if answer.Status/100 != 2 && (answer.Error == nil || answer.Error.Code == "" || len(answer.Errors) != 1 || !bytes.Contains(body, []byte(`"data":null`))) {
		t.Errorf("%s %s: an error of another shape: %d %.300s", c.method, c.path, resp.StatusCode, body)
	}
	return answer, nil
}

// tciRun runs code and wants an answer with data.
func (d *daemon) tciRun(t *testing.T, session, code string) tciAnswer {
	t.Helper()
	body := map[string]any{"code": code}
	if session != "" {
		body["session_id"] = session
	}
	a, err := d.tci(callContext(t), t, tciCall{body: body})
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusOK || a.Data == nil || a.Errors != nil || a.Data.Status != "success" {
		t.Fatalf("%q: %+v", code, a)
	}
	return a
}

// shown is an answer's outputs in one line.
func (a tciAnswer) shown() string {
	var parts []string
	for _, o := range a.Data.Outputs {
		data := fmt.Sprint(o.Data)
		if o.Type == "error" {
			lines := strings.Split(data, "\n")
			data = lines[len(lines)-1]
		}
		parts = append(parts, o.Type+" "+data)
	}
	return strings.Join(parts, "|")
}

func TestTogetherRuns(t *testing.T) {
	d := start(t)
	a := d.tciRun(t, "", `print("Hello, world!")`)
	if a.shown() != "stdout Hello, world!\n" {
		t.Errorf("hello: %s", a.shown())
	}
	id := a.Data.SessionID
	for _, c := range []struct{ name, code, want, errors string }{
		{"state", "x = 42", "", ""},
		{"state is kept", "print(x)", "stdout 42\n", ""},
		{"value", "2 + 2", "execute_result map[text/plain:4]", ""},
		{"order", "import sys\nprint(1); sys.stderr.write('e'); print(2); 3", "stdout 1\n|stderr e|stdout 2\n|execute_result map[text/plain:3]", ""},
		{"exception", "print('a')\n1/0", "stdout a\n|error ZeroDivisionError: division by zero", "ZeroDivisionError: division by zero"},
		{"no code", "", "", ""},
		{"other MIME types go", "display({'text/plain': 'p', 'application/x-mine': 'm', 'image/png': 'eA==', 'application/json': {'a': 1}, 'text/html': {'no': 'string'}}, raw=True)",
			"display_data map[application/json:map[a:1] image/png:eA== text/plain:p]", ""},
		{"and leave text", "display({'application/x-mine': {'k': [1]}}, raw=True)", `display_data map[text/plain:{"application/x-mine":{"k":[1]}}]`, ""},
		{"exit", "import os; os._exit(3)", "error KernelDied: the Python process ended (exit code 3); variables are lost, files are kept", "KernelDied: the Python process ended (exit code 3); variables are lost, files are kept"},
		{"goes on", "print('x' in globals())", "stdout False\n", ""},
	} {
		a := d.tciRun(t, id, c.code)
		if a.shown() != c.want || a.Data.Errors != c.errors || a.Data.SessionID != id {
			t.Errorf("%s: %s, errors %q", c.name, a.shown(), a.Data.Errors)
		}
	}
	files := []map[string]string{
		{"name": "a/b/c.txt", "encoding": "string", "content": "nested"},
		{"name": "d.bin", "encoding": "base64", "content": "AP8="},
		{"name": "/workspace/e.txt", "encoding": "string", "content": "absolute"},
	}
	a, err := d.tci(callContext(t), t, tciCall{body: map[string]any{"session_id": id, "language": "python", "files": files,
		"code": "open('a/b/c.txt').read(), open('d.bin', 'rb').read(), open('e.txt').read()", "an_extra_field": 1}})
	if err != nil || a.shown() != "execute_result map[text/plain:('nested', b'\\x00\\xff', 'absolute')]" {
		t.Errorf("files: %v %+v", err, a)
	}
	for _, path := range []string{"/v1//tci/execute", "/tci/execute", "/v1/v1/tci/execute", "//v1///tci//execute/"} {
		a, err := d.tci(contract.Bad(callContext(t)), t, tciCall{path: path, body: map[string]any{"code": "1", "session_id": nil, "files": nil}})
		if err != nil || a.Status != http.StatusOK || a.shown() != "execute_result map[text/plain:1]" {
			t.Errorf("%s: %v %+v", path, err, a)
		}
	}
	list, err := d.tci(callContext(t), t, tciCall{method: http.MethodGet, path: "/v1/tci/sessions"})
	if err != nil || list.Data == nil || len(list.Data.Sessions) != 5 {
		t.Fatalf("list: %v %+v", err, list)
	}
	first := list.Data.Sessions[0]
	if first.ID != id || first.ExecuteCount != 12 || first.LastExecuteAt.Before(first.StartedAt) || first.ExpiresAt.Sub(first.StartedAt) != 30*time.Minute {
		t.Errorf("list: %+v", first)
	}
	// The native routes and these see the same sessions.
	if e := d.exec(t, id, v1.ExecSpec{Code: "open('e.txt').read()"}, v1.StatusOK); e.Result == nil || string(e.Result) != `"absolute"` {
		t.Errorf("native: %+v", e)
	}
}

func TestTogetherRefuses(t *testing.T) {
	d := start(t)
	s := d.tciRun(t, "", "import os; os.symlink('/tmp', 'link'); os.mkdir('dir')").Data.SessionID
	file := func(name, encoding string, content any) map[string]any {
		return map[string]any{"code": "1", "session_id": s, "files": []any{map[string]any{"name": name, "encoding": encoding, "content": content}}}
	}
	for _, c := range []struct {
		name   string
		call   tciCall
		status int
		code   string
		param  string
	}{
		{"no body", tciCall{body: ""}, 400, "invalid_json", ""},
		{"not JSON", tciCall{body: "{"}, 400, "invalid_json", ""},
		{"an array", tciCall{body: "[]"}, 400, "invalid_json", ""},
		{"no code", tciCall{body: map[string]any{"language": "python"}}, 400, "missing_field", "code"},
		{"null code", tciCall{body: `{"code":null}`}, 400, "missing_field", "code"},
		{"code of another type", tciCall{body: `{"code":5}`}, 400, "invalid_value", "code"},
		{"NUL", tciCall{body: `{"code":"\u0000"}`}, 400, "invalid_value", "code"},
		{"another language", tciCall{body: map[string]any{"code": "1", "language": "ruby"}}, 400, "unsupported_language", "language"},
		{"encoding", tciCall{body: file("a", "utf8", "x")}, 400, "invalid_file", "files"},
		{"base64", tciCall{body: file("a", "base64", "%%%")}, 400, "invalid_file", "files"},
		{"no name", tciCall{body: file("", "string", "x")}, 400, "missing_field", "files"},
		{"no content", tciCall{body: file("a", "string", nil)}, 400, "missing_field", "files"},
		{"above", tciCall{body: file("../a", "string", "x")}, 400, "invalid_file", "files"},
		{"elsewhere", tciCall{body: file("/etc/passwd", "string", "x")}, 400, "invalid_file", "files"},
		{"behind a link", tciCall{body: file("link/a", "string", "x")}, 400, "invalid_file", "files"},
		{"a bell", tciCall{body: file("a\a", "string", "x")}, 400, "invalid_file", "files"},
		{"a directory", tciCall{body: file("dir", "string", "x")}, 400, "invalid_file", "files"},
		{"method", tciCall{method: "GET", body: ""}, 405, "method_not_allowed", ""},
		{"method of the list", tciCall{method: "DELETE", path: "/v1//tci/sessions", body: ""}, 405, "method_not_allowed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := d.tci(contract.Bad(callContext(t)), t, c.call)
			if err != nil {
				t.Fatal(err)
			}
			param := ""
			if a.Error != nil && a.Error.Param != nil {
				param = *a.Error.Param
			}
			if a.Status != c.status || a.Error == nil || a.Error.Code != c.code || param != c.param || a.Header.Get("X-Should-Retry") != "false" {
				t.Errorf("got %d, %+v", a.Status, a.Error)
			}
		})
	}
	unknown := map[string]any{"code": "1", "session_id": "ses_111111111111111111111"}
	a, err := d.tci(callContext(t), t, tciCall{body: unknown})
	if err != nil || a.Status != http.StatusOK || a.Data != nil || len(a.Errors) != 1 || !strings.Contains(a.Errors[0], "does not exist") || a.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("unknown session: %v %+v", err, a)
	}
	if list, err := d.tci(callContext(t), t, tciCall{method: http.MethodGet, path: "/v1/tci/sessions"}); err != nil || len(list.Data.Sessions) != 1 {
		t.Errorf("a refused request made a session: %v %+v", err, list)
	}
	if got := d.tciRun(t, s, "import os; sorted(os.listdir()), os.listdir('/tmp/link') if os.path.exists('/tmp/link') else 0").shown(); !strings.Contains(got, "['dir', 'link']") {
		t.Errorf("a refused file was written: %s", got)
	}
}

func TestTogetherSettings(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t, "--tci-session-errors", "404", "--tci-session-ttl", "4", "--tci-timeout", "1", "--tci-no-data-errors")
	s := d.tciRun(t, "", "x = 1").Data.SessionID
	a := d.tciRun(t, s, "while True: pass")
	if !strings.HasSuffix(a.shown(), "|error TimeoutError: the code ran longer than its limit of 1 seconds; variables are kept") || a.Data.Errors != "" {
		t.Errorf("time limit: %s, errors %q", a.shown(), a.Data.Errors)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		a, err := d.tci(callContext(t), t, tciCall{body: map[string]any{"code": "x", "session_id": s}})
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == http.StatusNotFound {
			if a.Error.Code != "session_not_found" || a.Error.Type != "invalid_request_error" || !strings.Contains(a.Error.Message, "time to live") {
				t.Errorf("expired: %+v", a.Error)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the session does not expire while it is used")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// A request whose client is cut off and sends it again runs once; without a
// second one it is interrupted.
func TestTogetherRetries(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	s := d.tciRun(t, "", "import time\nn = 0\nlog = []").Data.SessionID
	again := map[string]any{"session_id": s, "code": "n += 1; log.append(n); time.sleep(2); print('run', n)"}
	// impatient sends a request and hangs up after a while.
	impatient := func(body any, retry int, patience time.Duration) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if a, err := d.tci(ctx, t, tciCall{body: body, retry: retry}); err == nil {
			t.Errorf("answered too early: %+v", a)
		}
	}
	impatient(again, 0, 300*time.Millisecond)
	impatient(again, 1, 300*time.Millisecond)
	for retry := 2; retry < 4; retry++ { // while it runs, and after its end
		a, err := d.tci(callContext(t), t, tciCall{body: again, retry: retry})
		if err != nil || a.shown() != "stdout run 1\n" {
			t.Fatalf("retry %d: %v %+v", retry, err, a)
		}
	}
	if a, err := d.tci(callContext(t), t, tciCall{body: again}); err != nil || a.shown() != "stdout run 2\n" {
		t.Errorf("the same code sent on purpose: %v %+v", err, a)
	}
	// Another caller's or session's retry is another request.
	if a, err := d.tci(callContext(t), t, tciCall{body: map[string]any{"code": again["code"]}, retry: 1}); err != nil || !strings.Contains(a.shown(), "NameError") {
		t.Errorf("in another session: %v %+v", err, a)
	}
	// A request without a session: its retry must not make a second one.
	once := map[string]any{"code": "import time; time.sleep(1.5); print('once')"}
	impatient(once, 0, time.Second)
	if a, err := d.tci(callContext(t), t, tciCall{body: once, retry: 1}); err != nil || a.shown() != "stdout once\n" {
		t.Errorf("without a session: %v %+v", err, a)
	}
	if list, err := d.tci(callContext(t), t, tciCall{method: http.MethodGet, path: "/v1/tci/sessions"}); err != nil || len(list.Data.Sessions) != 3 {
		t.Errorf("sessions: %v %+v", err, list)
	}
	// Nobody comes back: interrupted after the grace, and usable.
	begin := time.Now()
	impatient(map[string]any{"session_id": s, "code": "try:\n    time.sleep(60)\nfinally:\n    log.append('interrupted')"}, 0, 200*time.Millisecond)
	if a := d.tciRun(t, s, "log"); a.shown() != "execute_result map[text/plain:[1, 2, 'interrupted']]" {
		t.Errorf("after the interrupt: %s", a.shown())
	}
	if took := time.Since(begin); took < 5*time.Second || took > 30*time.Second {
		t.Errorf("the interrupt came after %v", took)
	}
}

// Executions of one session run in the order in which they came.
func TestTogetherQueues(t *testing.T) {
	d := start(t)
	s := d.tciRun(t, "", "seen = []").Data.SessionID
	var group sync.WaitGroup
	for i := range 5 {
		group.Add(1)
		go func() {
			defer group.Done()
			d.tciRun(t, s, fmt.Sprintf("import time; time.sleep(0.3); seen.append(%d)", i))
		}()
		time.Sleep(50 * time.Millisecond)
	}
	group.Wait()
	if got := d.tciRun(t, s, "seen").shown(); got != "execute_result map[text/plain:[0, 1, 2, 3, 4]]" {
		t.Error(got)
	}
}

// Long runs send white space, so that clients with a time-out for the header
// or for silence don't send their request again.
func TestTogetherHeartbeat(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	conn, err := net.Dial("unix", filepath.Join(d.state, "tcid.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"code":"import time; time.sleep(11); print(1)"}`
	fmt.Fprintf(conn, "POST /tci/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	begin := time.Now()
	head := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := conn.Read(head)
	if took := time.Since(begin); err != nil || took > 10900*time.Millisecond || !bytes.HasPrefix(head[:n], []byte("HTTP/1.1 200")) {
		t.Errorf("after %v: %v %q", took, err, head[:n])
	}
	if !bytes.Contains(head[:n], []byte("application/json")) || bytes.Contains(head[:n], []byte("Content-Encoding")) {
		t.Errorf("headers %q", head[:n])
	}
	var rest []byte
	for !bytes.Contains(rest, []byte(`"data":"1\n"`)) {
		n, err := conn.Read(head)
		if err != nil {
			t.Fatalf("%v after %q", err, rest)
		}
		rest = append(rest, head[:n]...)
	}
}
