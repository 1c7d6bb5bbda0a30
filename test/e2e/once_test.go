package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

// decode reads an answer of a status.
func decode[T any](t *testing.T, resp answer, status int) (v T) {
	t.Helper()
	body, err := io.ReadAll(resp.body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.status != status {
		t.Fatalf("%d, want %d: %.500s", resp.status, status, body)
	}
	if err := json.Unmarshal(bytes.TrimSpace(body), &v); err != nil {
		t.Fatalf("%v: %.500s", err, body)
	}
	return v
}

// A request that is sent again with its key runs once, whatever became of the
// first try.
func TestIdempotencyKeys(t *testing.T) {
	d := start(t)
	made := decode[v1.Session](t, d.request(t, http.MethodPost, "/v1/sessions", v1.SessionSpec{}, "Idempotency-Key", "make"), http.StatusCreated)
	again := decode[v1.Session](t, d.request(t, http.MethodPost, "/v1/sessions", v1.SessionSpec{}, "Idempotency-Key", "make"), http.StatusCreated)
	if made.ID != again.ID || d.metric(t, "tcid_sessions") != 1 {
		t.Errorf("two sessions, %s and %s", made.ID, again.ID)
	}
	path := "/v1/sessions/" + made.ID + "/executions"
	spec := v1.ExecSpec{Code: "n = globals().get('n', 0) + 1\nimport time; time.sleep(0.5); print(n)"}

	// Ten at once, some of which listen to events and some of which go at once.
	var wg sync.WaitGroup
	var mu sync.Mutex
	replays, ids := 0, map[string]bool{}
	for i := range 10 {
		wg.Go(func() {
			if i%5 == 1 {
				d.listen(t, path, spec, "Idempotency-Key", "count").close()
				return
			}
			e := v1.Execution{}
			if i%5 == 2 {
				events := d.listen(t, path, spec, "Idempotency-Key", "count").rest()
				e = *events[len(events)-1].Execution
			} else {
				e = decode[v1.Execution](t, d.request(t, http.MethodPost, path, spec, "Idempotency-Key", "count"), http.StatusOK)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[e.ID] = true
			if e.IdempotentReplay {
				replays++
			}
			if e.Stdout != "1\n" {
				t.Errorf("it printed %q", e.Stdout)
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || replays < 7 {
		t.Errorf("%d executions, %d replays", len(ids), replays)
	}
	if e := d.run(t, made.ID, "n"); string(e.Result) != "1" {
		t.Errorf("it ran %s times", e.Result)
	}
	late := decode[v1.Execution](t, d.request(t, http.MethodPost, path, spec, "Idempotency-Key", "count"), http.StatusOK)
	if !late.IdempotentReplay || !ids[late.ID] {
		t.Errorf("a retry after the end: %+v", late)
	}
	one := v1.OneShot{ExecSpec: v1.ExecSpec{Code: "import uuid; print(uuid.uuid4())"}}
	first := decode[v1.Execution](t, d.request(t, http.MethodPost, "/v1/executions", one, "Idempotency-Key", "once"), http.StatusOK)
	if second := decode[v1.Execution](t, d.request(t, http.MethodPost, "/v1/executions", one, "Idempotency-Key", "once"), http.StatusOK); second.Stdout != first.Stdout {
		t.Error("a one-shot ran twice")
	}
	for range 2 {
		decode[v1.Session](t, d.request(t, http.MethodPost, "/v1/sessions/"+made.ID+"/restart", nil, "Idempotency-Key", "restart"), http.StatusOK)
	}
	if s, err := d.GetSession(callContext(t), made.ID); err != nil || s.KernelRestarts != 1 {
		t.Errorf("%d restarts, %v", s.KernelRestarts, err)
	}
	// The same key for something else is a mistake, told before anything is done.
	spec.Code = "print('other')"
	refused := decode[v1.ErrorBody](t, d.request(t, http.MethodPost, path, spec, "Idempotency-Key", "count"), http.StatusConflict)
	if *refused.Error.Code != "idempotency_key_reused" {
		t.Errorf("%+v", refused)
	}
	for _, key := range []string{"two words", strings.Repeat("x", 256), "é"} {
		req, _ := http.NewRequestWithContext(badContext(t), http.MethodPost, "http://localhost"+path, strings.NewReader(`{"code":"1"}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		resp, err := d.http().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		decode[v1.ErrorBody](t, answer{resp.StatusCode, resp.Header, resp.Body}, http.StatusBadRequest)
		_ = resp.Body.Close()
	}
	// What was refused may be tried again.
	decode[v1.ErrorBody](t, d.request(t, http.MethodPost, "/v1/sessions/ses_none/executions", v1.ExecSpec{Code: "1"}, "Idempotency-Key", "refused"), http.StatusNotFound)
	decode[v1.ErrorBody](t, d.request(t, http.MethodPost, "/v1/sessions/ses_none/executions", v1.ExecSpec{Code: "1"}, "Idempotency-Key", "refused"), http.StatusNotFound)
}

// An execution ends when its last listener has gone for a while, unless it was
// started to run on alone.
func TestListeners(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	const code = "import time\nfor i in range(600): print(i, flush=True); time.sleep(0.1)"
	begin := func(detach bool) *listener {
		s := d.create(t, v1.SessionSpec{})
		return d.listen(t, "/v1/sessions/"+s.ID+"/executions", v1.ExecSpec{Code: code, Detach: detach})
	}
	left, heard, detached := begin(false), begin(false), begin(true)
	other := d.listen(t, "/v1/executions/"+heard.id()+"/events", nil)
	for _, l := range []*listener{left, heard, detached} {
		for range 3 {
			if _, err := l.next(); err != nil {
				t.Fatal(err)
			}
		}
		l.close()
	}
	go func() {
		for err := error(nil); err == nil; { // it is cancelled below
			_, err = other.next()
		}
	}()
	events := d.listen(t, "/v1/executions/"+left.id()+"/events?after=1", nil)
	time.Sleep(11 * time.Second) // longer than the grace: it has a listener again
	for id, want := range map[string]string{left.id(): v1.StatusRunning, heard.id(): v1.StatusRunning, detached.id(): v1.StatusRunning} {
		if e, err := d.GetExecution(callContext(t), id); err != nil || e.Status != want {
			t.Errorf("%s, %v; want %s", e.Status, err, want)
		}
	}
	events.close()
	deadline := time.Now().Add(30 * time.Second)
	for {
		e, err := d.GetExecution(callContext(t), left.id())
		if err != nil {
			t.Fatal(err)
		}
		if e.Status == v1.StatusCancelled && !e.StateLost {
			break
		}
		if e.Status != v1.StatusRunning || time.Now().After(deadline) {
			t.Fatalf("an execution without listeners: %s, state lost %v", e.Status, e.StateLost)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if e, err := d.GetExecution(callContext(t), detached.id()); err != nil || e.Status != v1.StatusRunning {
		t.Errorf("the detached one: %s, %v", e.Status, err)
	}
	for _, id := range []string{heard.id(), detached.id()} {
		if _, err := d.Cancel(callContext(t), id); err != nil {
			t.Error(err)
		}
	}
}

// A detached execution is answered at once and found later.
func TestDetached(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	begun := time.Now()
	resp := d.request(t, http.MethodPost, "/v1/sessions/"+s.ID+"/executions", v1.ExecSpec{Code: "import time; time.sleep(1); print('done')", Detach: true})
	e := decode[v1.Execution](t, resp, http.StatusAccepted)
	if took := time.Since(begun); took > 900*time.Millisecond || resp.header.Get("Location") != "/v1/executions/"+e.ID {
		t.Errorf("%v, %v", took, resp.header)
	}
	events := d.listen(t, "/v1/executions/"+e.ID+"/events", nil).rest()
	if got := told(events); got != "started|stdout done\n|finished ok" {
		t.Error(got)
	}
}

// What a caller may have open and hold is bounded, and said.
func TestBoundsOfStreams(t *testing.T) {
	const most = 512
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	e := decode[v1.Execution](t, d.request(t, http.MethodPost, "/v1/sessions/"+s.ID+"/executions", v1.ExecSpec{Code: "import time; time.sleep(60)", Detach: true}), http.StatusAccepted)
	open := make([]*listener, most)
	for i := range open {
		open[i] = d.listen(t, "/v1/executions/"+e.ID+"/events", nil)
	}
	refused := decode[v1.ErrorBody](t, d.request(t, http.MethodGet, "/v1/executions/"+e.ID+"/events", nil), http.StatusTooManyRequests)
	if *refused.Error.Code != "too_many_streams" {
		t.Errorf("%+v", refused)
	}
	open[0].close()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if resp := d.request(t, http.MethodGet, "/v1/executions/"+e.ID+"/events", nil); resp.status == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a stream that was closed still counts")
		}
	}
	if _, err := d.Cancel(callContext(t), e.ID); err != nil {
		t.Error(err)
	}
	open[1].rest() // all of them end
}

// Stdin may be bytes.
func TestStdinBytes(t *testing.T) {
	d := start(t)
	bytes := "//4AZQ==" // ff fe 00 65
	e, err := d.RunOnce(callContext(t), v1.OneShot{ExecSpec: v1.ExecSpec{Code: "import sys; sys.stdin.buffer.read()", StdinBase64: &bytes}})
	if err != nil || e.ResultRepr == nil || *e.ResultRepr != `b'\xff\xfe\x00e'` {
		t.Errorf("%+v, %v", e.ResultRepr, err)
	}
	for _, body := range []string{`{"code":"1","stdin":"","stdin_base64":""}`, `{"code":"1","stdin_base64":"?"}`} {
		if status, problem := d.raw(t, http.MethodPost, "/v1/executions", "application/json", body); status != http.StatusBadRequest || problem.Param == nil || *problem.Param != "stdin_base64" {
			t.Errorf("%s: %d %+v", body, status, problem)
		}
	}
}

// An execution tells which files it changed, whoever else wrote before it.
func TestChangedFiles(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{Files: []v1.InlineFile{{Name: "given", Encoding: "string", Content: "x"}}})
	changes := func(code string, files ...v1.InlineFile) []string {
		e := d.exec(t, s.ID, v1.ExecSpec{Code: code, Files: files}, v1.StatusOK)
		if e.FilesTruncated {
			t.Error("not all files were looked at")
		}
		said := []string{}
		for _, f := range e.Files {
			said = append(said, fmt.Sprintf("%s %s %d", f.Change, f.Path, f.Size))
		}
		return said
	}
	for _, c := range []struct {
		code  string
		files []v1.InlineFile
		want  []string
	}{
		{"1", nil, []string{}},
		{"open('a', 'w').write('123'); import os; os.makedirs('d/e'); open('d/e/f', 'w').close()", nil, []string{"created a 3", "created d/e/f 0"}},
		{"open('a', 'a').write('4'); os.remove('given')", nil, []string{"modified a 4", "deleted given 1"}},
		{"print(open('b').read())", []v1.InlineFile{{Name: "b", Encoding: "string", Content: "new"}}, []string{}},
		{"open('.hidden', 'w').close(); os.rename('a', 'c')", nil, []string{"deleted a 4", "created c 4"}},
	} {
		if diff := cmp.Diff(c.want, changes(c.code, c.files...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.code, diff)
		}
	}
	if _, err := d.Upload(callContext(t), s.ID, "uploaded", strings.NewReader("x"), client.UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	if said := changes("1"); len(said) != 0 {
		t.Errorf("an upload was taken for the code's: %v", said)
	}
	e := d.exec(t, s.ID, v1.ExecSpec{Code: "for i in range(2500): open(f'many-{i:04}', 'w').close()\nopen('uploaded', 'w').close()"}, v1.StatusOK)
	if !e.FilesTruncated || len(e.Files) > 2000 || len(e.Files) < 100 {
		t.Errorf("%d of 2500 files, truncated %v", len(e.Files), e.FilesTruncated)
	}
}

// Code is completed in the session's interpreter, when that has time.
func TestCompletion(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	d.run(t, s.ID, "something = 1")
	path := "/v1/sessions/" + s.ID
	got := decode[v1.Completions](t, d.request(t, http.MethodPost, path+"/complete", v1.CompleteSpec{Code: "y = someth"}), http.StatusOK)
	if diff := cmp.Diff(v1.Completions{Matches: []string{"something"}, Start: 4, End: 10}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := decode[v1.IsComplete](t, d.request(t, http.MethodPost, path+"/is_complete", v1.IsCompleteSpec{Code: "for i in x:"}), http.StatusOK); got != (v1.IsComplete{Status: "incomplete", Indent: "    "}) {
		t.Errorf("%+v", got)
	}
	far := int64(11)
	decode[v1.ErrorBody](t, d.request(t, http.MethodPost, path+"/complete", v1.CompleteSpec{Code: "y = someth", Cursor: &far}), http.StatusBadRequest)
	// Objects that take their time, or never come back, or end the interpreter.
	d.run(t, s.ID, "import time, os, signal\nclass Slow:\n    def __dir__(self): time.sleep(60)\nslow = Slow()")
	if resp := d.request(t, http.MethodPost, path+"/complete", v1.CompleteSpec{Code: "slow."}); resp.status != http.StatusConflict {
		if got := decode[v1.Completions](t, resp, http.StatusOK); len(got.Matches) != 0 { // it was interrupted in time
			t.Errorf("%+v", got)
		}
	}
	if e := d.run(t, s.ID, "something"); string(e.Result) != "1" {
		t.Errorf("after a slow completion: %s", e.Result)
	}
	busy := d.listen(t, path+"/executions", v1.ExecSpec{Code: "time.sleep(4)"})
	decode[v1.ErrorBody](t, d.request(t, http.MethodPost, path+"/complete", v1.CompleteSpec{Code: "some"}), http.StatusConflict)
	busy.rest()
	d.run(t, s.ID, "class End:\n    def __dir__(self): os._exit(3)\nend = End()")
	decode[v1.ErrorBody](t, d.request(t, http.MethodPost, path+"/complete", v1.CompleteSpec{Code: "end."}), http.StatusConflict)
	if e := d.exec(t, s.ID, v1.ExecSpec{Code: "'something' in globals()"}, v1.StatusOK); string(e.Result) != "false" || !e.StateLost {
		t.Errorf("after the interpreter's end: %s, state lost %v", e.Result, e.StateLost)
	}
}

// A completion that nothing interrupts keeps no session from its end.
func TestSessionEndsDuringCompletion(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	d.run(t, s.ID, `
import signal, time
class Deaf:
    def __dir__(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        open('looked', 'w').close()
        while True: time.sleep(1)
deaf = Deaf()`)
	path := "/v1/sessions/" + s.ID
	answered := make(chan int, 1)
	go func() {
		answered <- d.request(t, http.MethodPost, path+"/complete", v1.CompleteSpec{Code: "deaf."}).status
	}()
	for d.request(t, http.MethodHead, path+"/files/looked", nil).status != http.StatusOK {
		time.Sleep(10 * time.Millisecond)
	}
	begin := time.Now()
	decode[v1.Closed](t, d.request(t, http.MethodDelete, path, nil), http.StatusOK)
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the session's end took %v", took)
	}
	if status := <-answered; status != http.StatusNotFound {
		t.Errorf("the completion was answered with %d", status)
	}
}
