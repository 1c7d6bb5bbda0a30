package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "tcid/api/v1"
)

const (
	onceJSON = "POST /v1/executions"
	once     = onceJSON + "?compact=true"
)

func TestOutput(t *testing.T) {
	text := func(kind, data string) v1.Event { return v1.Event{Type: kind, Text: data} }
	mime := func(kind string, data map[string]any) v1.Event { return v1.Event{Type: kind, Data: data} }
	plain := func(kind, id, text string) v1.Event {
		return v1.Event{Type: kind, DisplayID: id, Data: map[string]any{"text/plain": text}}
	}
	raised := func(name, value string, traceback ...string) v1.Event {
		return v1.Event{Type: v1.OutputError, Name: name, Value: value, Traceback: traceback}
	}
	lost := execution(v1.StatusOK)
	lost.StateLost = true
	died := execution(v1.StatusCrashed)
	died.StateLost = true
	ok := execution(v1.StatusOK)
	for name, c := range map[string]struct {
		e        v1.Execution
		shown    []v1.Event
		out, err string
		code     int
	}{
		"nothing": {ok, nil, "", "", 0},
		"streams": {ok, []v1.Event{text(v1.OutputStdout, "a"), text(v1.OutputStderr, "b"), text(v1.OutputStdout, "c\n")}, "ac\n", "b", 0},
		"result":  {ok, []v1.Event{mime(v1.OutputExecuteResult, map[string]any{"text/plain": "42"})}, "42\n", "", 0},
		"table": {ok, []v1.Event{mime(v1.OutputDisplayData, map[string]any{"text/html": "<b>", "text/plain": "a\nb\n"}),
			text(v1.OutputStdout, "c")}, "a\nb\nc", "", 0},
		"picture": {ok, []v1.Event{mime(v1.OutputDisplayData, map[string]any{"text/html": "", "image/png": "", "a/\x1bb": ""})}, "[a/ b, image/png, text/html]\n", "", 0},
		"raised": {execution(v1.StatusError), []v1.Event{text(v1.OutputStdout, "a\n"), raised("ValueError", "x", "Traceback", "ValueError: x")},
			"a\n", "Traceback\nValueError: x\n", 1},
		"time": {execution(v1.StatusTimeout), []v1.Event{raised("TimeoutError", "too long")},
			"", "TimeoutError: too long\ntcid: the program did not end well: timeout\n", 1},
		"missing": {ok, []v1.Event{{Type: v1.EventTruncated, Events: 7}, text(v1.OutputStdout, "b")},
			"b", "tcid: 7 events are missing here: they came faster than they were read, or too long ago\n", 0},
		"state lost before": {lost, nil, "", "tcid: the variables of earlier code are lost; files stay\n", 0},
		"state lost now":    {died, []v1.Event{raised("KernelDied", "")}, "", "KernelDied\ntcid: the program did not end well: crashed\n", 1},
		// Nothing is taken back from what is no terminal.
		"cleared": {ok, []v1.Event{text(v1.OutputStdout, "1"), {Type: v1.EventClearOutput}, text(v1.OutputStdout, "2"),
			{Type: v1.EventClearOutput, Wait: true}, text(v1.OutputStdout, "3")}, "123", "", 0},
		"updated": {ok, []v1.Event{plain(v1.OutputDisplayData, "d", "one"), plain(v1.EventUpdateDisplay, "d", "one"),
			plain(v1.EventUpdateDisplay, "d", "two"), plain(v1.EventUpdateDisplay, "e", "other")}, "one\ntwo\nother\n", "", 0},
		"tests and what is new": {ok, []v1.Event{{Type: v1.EventTest, Test: &v1.TestResult{}}, {Type: "from the future"}}, "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			startFake(t, map[string]answer{once: streamed(c.e, c.shown...)})
			check(t, c.out, c.err, c.code)(tcid("", "run", "--code", "1"))
		})
	}
}

func TestOutputAsJSON(t *testing.T) {
	e := execution(v1.StatusError, v1.Output{Type: v1.OutputStdout, Data: "a\n"})
	e.Error = &v1.ExecError{Name: "ValueError", Value: "x", Traceback: []string{"x"}}
	e.Result = json.RawMessage("null")
	startFake(t, map[string]answer{onceJSON: streamed(e, v1.Event{Type: v1.OutputStdout, Text: "a\n"})})
	want, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	check(t, string(want)+"\n", "", 1)(tcid("", "run", "--code", "1", "--json"))
}

// The flags become the request that the API wants, and no more than that.
func TestRequestOfRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	program, data := write("a.py", "print(1)\n"), write("data", "\xff\x00")
	const none = `"session":{"resources":{}}}`
	for name, c := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"file":           {"", []string{program}, `{"code":"print(1)\n",` + none},
		"standard input": {"1 + 1", []string{"-"}, `{"code":"1 + 1",` + none},
		"argument":       {"", []string{"--code", ""}, `{"code":"",` + none},
		"its input":      {"", []string{"--code", "1", "--stdin", program}, `{"code":"1","stdin":"print(1)\n",` + none},
		"bytes":          {"", []string{"--code", "1", "--stdin", data}, `{"code":"1","stdin_base64":"/wA=",` + none},
		"empty input":    {"", []string{"--code", "1", "--stdin", "-"}, `{"code":"1","stdin":"",` + none},
		"files": {"", []string{"--code", "1", "--file", data, "--file", data + ":sub/b:c"},
			`{"code":"1","files":[{"name":"data","encoding":"base64","content":"/wA="},{"name":"sub/b:c","encoding":"base64","content":"/wA="}],` + none},
		"limits": {"", []string{"--code", "1", "--timeout", "1.5", "--image", "i", "--isolation", "fresh", "--memory-mb", "100", "--cpus", "0.5", "--pids", "9", "--disk-mb", "7", "--env", "A=b=c", "--env", "E="},
			`{"code":"1","timeout":1.5,"session":{"isolation":"fresh","env":{"A":"b=c","E":""},"resources":{"memory_mb":100,"cpus":0.5,"pids":9,"disk_mb":7},"image":"i"}}`},
		// The daemon says that this can't be; a dropped 0 would mean the default.
		"no time": {"", []string{"--code", "1", "--timeout", "0"}, `{"code":"1","timeout":0,` + none},
	} {
		t.Run(name, func(t *testing.T) {
			d := startFake(t, map[string]answer{once: streamed(execution(v1.StatusOK))})
			check(t, "", "", 0)(tcid(c.stdin, append([]string{"run"}, c.args...)...))
			if diff := cmp.Diff(c.want, d.last(t).body); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Flags win over the environment, and a socket there over a URL.
func TestWhichDaemon(t *testing.T) {
	fake := startFake(t, map[string]answer{"GET /v1/sessions": {body: v1.SessionList{}}})
	socket := os.Getenv("TCID_SOCKET")
	tcp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(v1.SessionList{Data: []v1.Session{{ID: r.Header.Get("Authorization")}}})
	}))
	defer tcp.Close()
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("# keys\n\nalice tci_of_the_file\nbob other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		socket, url, key string
		args             []string
		want             string // the bearer over TCP; "-": the Unix socket is asked
	}{
		"socket of the environment":  {socket: socket, want: "-"},
		"socket before URL":          {socket: socket, url: tcp.URL, want: "-"},
		"URL of the environment":     {url: tcp.URL, key: "k1", want: "Bearer k1"},
		"URL flag":                   {socket: socket, args: []string{"--url", tcp.URL}, want: ""},
		"key flag":                   {url: tcp.URL, key: "k1", args: []string{"--key", "k2"}, want: "Bearer k2"},
		"key file":                   {url: tcp.URL, key: "k1", args: []string{"--key-file", keys}, want: "Bearer tci_of_the_file"},
		"socket flag before its URL": {url: tcp.URL, args: []string{"--socket", socket}, want: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TCID_SOCKET", c.socket)
			t.Setenv("TCID_URL", c.url)
			t.Setenv("TCI_API_KEY", c.key)
			before := len(fake.requests)
			out, errs, code := tcid("", append([]string{"session", "ls", "--json"}, c.args...)...)
			if code != 0 {
				t.Fatalf("code %d, stderr %q", code, errs)
			}
			if c.want == "-" {
				if len(fake.requests) != before+1 {
					t.Errorf("the socket was not asked; stdout %q", out)
				}
				return
			}
			var list v1.SessionList
			if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Data) != 1 || list.Data[0].ID != c.want {
				t.Errorf("stdout %q, %v; want the key %q", out, err, c.want)
			}
		})
	}
}

// Before the daemon has accepted the code, Ctrl-C ends the request.
func TestInterruptedBeforeTheStart(t *testing.T) {
	gone := make(chan struct{}, 1)
	interrupt := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Error(err)
		}
	}
	clearEnv(t)
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server watch the connection
		interrupt()
		<-r.Context().Done()
		gone <- struct{}{}
	})}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	for _, args := range [][]string{{"run", "--code", "1"}, {"session", "exec", testSession, "--code", "1"}} {
		check(t, "", "tcid: interrupted\n", 130)(tcid("", append(args, "--socket", socket)...))
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Error("the daemon did not see the request end")
		}
	}
	// A terminal that says nothing more must not hold Ctrl-C up.
	var out, errs strings.Builder
	code := run([]string{"run", "-", "--socket", socket}, &endless{interrupt, t.Context().Done()}, &out, &errs)
	check(t, "", "tcid: interrupted\n", 130)(out.String(), errs.String(), code)
}

// endless is a standard input where nothing comes until the test ends.
type endless struct {
	onRead func()
	done   <-chan struct{}
}

func (e *endless) Read([]byte) (int, error) {
	e.onRead()
	<-e.done
	return 0, io.EOF
}
