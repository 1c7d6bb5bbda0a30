package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "tcid/api/v1"
)

// slowDaemon has one execution, which ends when it is told to: by a request
// whose answer ends so.
type slowDaemon struct {
	endsBy  string // "interrupt", "cancel", or "" for never
	status  string // how it ends then
	queued  bool   // it never leaves the queue
	presses int    // how often Ctrl-C is pressed, at once

	mu       sync.Mutex
	requests []string
	ended    chan struct{}
	left     chan struct{}
}

func (d *slowDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	d.mu.Lock()
	d.requests = append(d.requests, r.Method+" "+r.URL.Path)
	d.mu.Unlock()
	if !strings.HasSuffix(r.URL.Path, "/executions") && !strings.HasSuffix(r.URL.Path, "/events") {
		if d.endsBy != "" && strings.HasSuffix(r.URL.Path, d.endsBy) {
			close(d.ended)
		}
		_, _ = io.WriteString(w, "{}")
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Execution-Id", "exe_1")
	seq := int64(0)
	send := func(e v1.Event) {
		seq++
		e.Seq = seq
		_ = json.NewEncoder(w).Encode(e)
		_ = http.NewResponseController(w).Flush()
	}
	if !d.queued {
		send(v1.Event{Type: v1.EventStarted, ExecutionID: "exe_1", SessionID: testSession})
		send(v1.Event{Type: v1.OutputStdout, Text: "begun\n"})
	}
	_ = http.NewResponseController(w).Flush()
	time.Sleep(100 * time.Millisecond) // until the program has printed it
	for range d.presses {
		_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
		time.Sleep(20 * time.Millisecond) // signals that are pending already are lost
	}
	select {
	case <-d.ended:
		e := execution(d.status)
		send(v1.Event{Type: v1.EventFinished, Execution: &e})
	case <-r.Context().Done():
		close(d.left)
	}
}

// Ctrl-C ends what runs and shows what became of it; a second one leaves.
func TestCtrlC(t *testing.T) {
	const run, in = "POST /v1/executions", "POST /v1/sessions/" + testSession + "/executions"
	const interrupt, cancel = "POST /v1/sessions/" + testSession + "/interrupt", "POST /v1/executions/exe_1/cancel"
	exec := []string{"session", "exec", testSession, "--code", "1"}
	for name, c := range map[string]struct {
		args     []string
		d        *slowDaemon
		out, err string
		code     int
		requests []string
		left     bool
	}{
		"run": {[]string{"run", "--code", "1"}, &slowDaemon{endsBy: "cancel", status: v1.StatusCancelled, presses: 1},
			"begun\n", "tcid: interrupted\n", 130, []string{run, cancel}, false},
		"exec": {exec, &slowDaemon{endsBy: "interrupt", status: v1.StatusInterrupted, presses: 1},
			"begun\n", "tcid: interrupted\n", 130, []string{in, interrupt}, false},
		// Another execution is what an interrupt would hit.
		"exec in the queue": {exec, &slowDaemon{queued: true, endsBy: "cancel", status: v1.StatusCancelled, presses: 1},
			"", "tcid: interrupted\n", 130, []string{in, cancel}, false},
		"it caught it and ended": {exec, &slowDaemon{endsBy: "interrupt", status: v1.StatusOK, presses: 1},
			"begun\n", "", 0, []string{in, interrupt}, false},
		"it caught it and raised": {exec, &slowDaemon{endsBy: "interrupt", status: v1.StatusError, presses: 1},
			"begun\n", "", 1, []string{in, interrupt}, false},
		"twice": {exec, &slowDaemon{presses: 2}, "begun\n", "tcid: interrupted\n", 130, []string{in, interrupt}, true},
		// Who only listens leaves it alone.
		"events": {[]string{"execution", "events", "exe_1"}, &slowDaemon{presses: 1}, "begun\n", "tcid: interrupted\n", 130,
			[]string{"GET /v1/executions/exe_1/events"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			d := c.d
			d.ended, d.left = make(chan struct{}), make(chan struct{})
			socket := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{Handler: d}
			go func() { _ = s.Serve(l) }()
			defer s.Close()
			check(t, c.out, c.err, c.code)(tcid("", append(slices.Clone(c.args), "--socket", socket)...))
			if c.left {
				select {
				case <-d.left:
				case <-time.After(10 * time.Second):
					t.Error("the daemon did not see the stream end")
				}
			}
			if diff := cmp.Diff(c.requests, d.requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDetach(t *testing.T) {
	e := execution(v1.StatusQueued)
	d := startFake(t, map[string]answer{onceJSON: {status: 202, body: e}, "POST " + sessionPath + "/executions": {status: 202, body: e}})
	check(t, "exe_1\n", "", 0)(tcid("", "run", "--code", "1", "--detach"))
	check(t, "exe_1\n", "", 0)(tcid("", "session", "exec", testSession, "--code", "1", "--detach"))
	if diff := cmp.Diff(`{"code":"1","detach":true}`, d.last(t).body); diff != "" {
		t.Error(diff)
	}
}

func TestExecutionCommands(t *testing.T) {
	e := execution(v1.StatusError)
	e.Error = &v1.ExecError{Name: "Value\x1bError"}
	e.Receipt = v1.Receipt{WallMS: 1503.25, CPUUserMS: 1, CPUSystemMS: 2.5, MaxMemoryBytes: 5 << 20}
	e.Result = json.RawMessage("null")
	hello := v1.Event{Type: v1.OutputStdout, Text: "hello\n"}
	startFake(t, map[string]answer{
		"GET /v1/executions/exe_1":                              {body: e},
		"POST /v1/executions/exe_1/cancel":                      {body: e},
		"GET /v1/executions/exe_1/events?after=0&compact=true":  streamed(e, hello),
		"GET /v1/executions/exe_1/events?after=99&compact=true": refusal(http.StatusGone, "events_gone", "they are gone"),
		"GET " + sessionPath + "/executions":                    {body: v1.ExecutionList{Data: []v1.Execution{e, e}}},
	})
	head := "ID     NUMBER  STATUS  STARTED  WALL    CPU    MEMORY  ERROR\n"
	line := "exe_1  1       error   -        1.503s  3.5ms  5 MiB   Value Error\n"
	check(t, head+line, "", 0)(tcid("", "execution", "show", "exe_1"))
	check(t, head+line, "", 0)(tcid("", "execution", "cancel", "exe_1"))
	check(t, head+line+line, "", 0)(tcid("", "session", "executions", testSession))
	check(t, "hello\n", "", 1)(tcid("", "execution", "events", "exe_1"))
	check(t, "", "tcid: they are gone\n", 2)(tcid("", "execution", "events", "exe_1", "--after", "99"))
	out, errs, code := tcid("", "execution", "events", "exe_1", "--json")
	var types []string
	for line := range strings.Lines(out) {
		var event v1.Event
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		types = append(types, fmt.Sprint(event.Seq, event.Type))
	}
	if diff := cmp.Diff([]string{"1started", "2stdout", "3finished"}, types); diff != "" || errs != "" || code != 1 {
		t.Errorf("code %d, stderr %q, (-want +got):\n%s", code, errs, diff)
	}
	out, _, _ = tcid("", "session", "executions", testSession, "--json")
	var list v1.ExecutionList
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Data) != 2 {
		t.Errorf("%q: %v", out, err)
	}
}
