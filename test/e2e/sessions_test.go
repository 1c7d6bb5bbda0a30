package e2e

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcid/api/client"
	v1 "tcid/api/v1"
	"tcid/test/leak"
)

// create makes a session that is closed with the test.
func (d *daemon) create(t *testing.T, spec v1.SessionSpec) v1.Session {
	t.Helper()
	s, err := d.CreateSession(callContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// exec runs code and expects a status.
func (d *daemon) exec(t *testing.T, session string, spec v1.ExecSpec, status string) v1.Execution {
	t.Helper()
	e, err := d.Execute(callContext(t), session, spec)
	if err != nil {
		t.Fatal(err)
	}
	if e.Status != status {
		t.Fatalf("status %s, want %s\ncode: %.200s\nerror: %+v\nstderr: %s", e.Status, status, spec.Code, e.Error, e.Stderr)
	}
	return e
}

func (d *daemon) run(t *testing.T, session, code string) v1.Execution {
	t.Helper()
	return d.exec(t, session, v1.ExecSpec{Code: code}, v1.StatusOK)
}

// settled waits until the daemon's open descriptors are the given ones again.
func (d *daemon) settled(t *testing.T, before []string) {
	t.Helper()
	d.Close()
	var now []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if now = d.descriptors(); len(now) <= len(before) {
			return
		}
	}
	t.Errorf("the daemon's descriptors (-before +now):\n%s", cmp.Diff(before, now))
}

// Fifty sessions at once see their own variables and files and nobody else's,
// and leave nothing.
func TestFiftySessionsAtOnce(t *testing.T) {
	const n = 50
	d := start(t, "--pool", "0") // what is kept ready would look like what is left
	warm := d.create(t, v1.SessionSpec{})
	d.run(t, warm.ID, "1")
	if err := d.CloseSession(callContext(t), warm.ID); err != nil {
		t.Fatal(err)
	}
	host, err := leak.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	open := d.descriptors()

	var wg sync.WaitGroup
	ids := make([]string, n)
	each := func(do func(i int)) {
		for i := range n {
			wg.Go(func() { do(i) })
		}
		wg.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	ctx := callContext(t)
	each(func(i int) {
		s, err := d.CreateSession(ctx, v1.SessionSpec{})
		if err != nil {
			t.Error(err)
			return
		}
		ids[i] = s.ID
	})
	each(func(i int) {
		code := fmt.Sprintf("mine = %d\nopen('mine.txt', 'w').write('%d')\nimport os, tempfile; os.mkdir('/tmp/dir%d')", i, i, i)
		if e, err := d.Execute(ctx, ids[i], v1.ExecSpec{Code: code}); err != nil || e.Status != v1.StatusOK {
			t.Errorf("session %d: %v %+v", i, err, e.Error)
		}
		_, err := d.Upload(ctx, ids[i], "up/loaded.txt", strings.NewReader(fmt.Sprint(i)), client.UploadOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	each(func(i int) {
		e, err := d.Execute(ctx, ids[i], v1.ExecSpec{
			Code: "import os\n" +
				"processes = sum(name.isdigit() for name in os.listdir('/proc'))\n" +
				"[mine, open('mine.txt').read(), open('up/loaded.txt').read(), sorted(os.listdir()), os.listdir('/tmp'), processes]",
		})
		want := fmt.Sprintf(`[%d,"%d","%d",["mine.txt","up"],["dir%d"],1]`, i, i, i, i)
		if err != nil || string(e.Result) != want {
			t.Errorf("session %d sees %s, want %s (%v, %+v)", i, e.Result, want, err, e.Error)
		}
		body, err := d.Download(ctx, ids[i], "mine.txt")
		if err != nil {
			t.Error(err)
			return
		}
		defer body.Close()
		if b, _ := io.ReadAll(body); string(b) != fmt.Sprint(i) {
			t.Errorf("session %d's file holds %q", i, b)
		}
	})
	all, err := d.AllSessions(ctx, client.ListOptions{Limit: 7})
	if err != nil || len(all) != n {
		t.Errorf("%d sessions are listed, want %d (%v)", len(all), n, err)
	}
	each(func(i int) {
		if err := d.CloseSession(ctx, ids[i]); err != nil {
			t.Error(err)
		}
	})
	leak.Compare(t, host, marks(d.state)...)
	d.settled(t, open)
}

func TestStateFilesAndResult(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{Metadata: map[string]string{"job": "a"}, Env: map[string]string{"GREETING": "hi"}})
	d.run(t, s.ID, "x = 40")
	e := d.run(t, s.ID, "import os\nprint(os.environ['GREETING'])\nx + 2")
	if e.Stdout != "hi\n" || string(e.Result) != "42" || e.ResultSource != "expression" || *e.ResultRepr != "42" {
		t.Errorf("execution = %+v", e)
	}
	if e := d.run(t, s.ID, "result = 4\nprint('done')"); string(e.Result) != "4" || e.ResultSource != "variable" {
		t.Errorf("the variable gives %s, %s", e.Result, e.ResultSource)
	}
	if e := d.run(t, s.ID, "y = 1"); string(e.Result) != "null" || e.ResultSource != "none" {
		t.Errorf("an old variable gives %s, %s", e.Result, e.ResultSource)
	}
	if e := d.exec(t, s.ID, v1.ExecSpec{Code: "x / 0"}, v1.StatusError); e.Error.Name != "ZeroDivisionError" ||
		!strings.Contains(strings.Join(e.Error.Traceback, "\n"), "<cell") || strings.Contains(strings.Join(e.Error.Traceback, "\n"), "/usr/lib/tcid") {
		t.Errorf("error = %+v", e.Error)
	}
	below := d.create(t, v1.SessionSpec{Cwd: "a/b", Files: []v1.InlineFile{{Name: "a/b/f", Encoding: "string", Content: "x"}}})
	if e := d.run(t, below.ID, "import os; [os.getcwd(), open('f').read()]"); string(e.Result) != `["/workspace/a/b","x"]` {
		t.Errorf("in a directory of its own: %s", e.Result)
	}
	if e := d.exec(t, below.ID, v1.ExecSpec{Code: "os.getcwd(), os.environ['K']", Cwd: "/workspace", Env: map[string]string{"K": "v"}}, v1.StatusOK); *e.ResultRepr != "('/workspace', 'v')" {
		t.Errorf("an execution elsewhere: %s", *e.ResultRepr)
	}
	if e := d.run(t, below.ID, "os.getcwd(), 'K' in os.environ"); *e.ResultRepr != "('/workspace/a/b', False)" {
		t.Errorf("afterwards: %s", *e.ResultRepr)
	}
	in := "first\nsecond\n"
	if e := d.exec(t, s.ID, v1.ExecSpec{Code: "print(input(), input())", Stdin: &in}, v1.StatusOK); e.Stdout != "first second\n" {
		t.Errorf("stdin gives %q", e.Stdout)
	}
	if e := d.exec(t, s.ID, v1.ExecSpec{Code: "input()"}, v1.StatusError); e.Error.Name != "EOFError" {
		t.Errorf("without stdin: %+v", e.Error)
	}
	order := d.run(t, s.ID, "import sys, os\nprint(1); sys.stderr.write('e\\n'); os.system('echo 2'); print(3)\n4")
	want := []v1.Output{
		{Type: "stdout", Data: "1\n"}, {Type: "stderr", Data: "e\n"}, {Type: "stdout", Data: "2\n3\n"},
		{Type: "execute_result", Data: map[string]any{"text/plain": "4"}},
	}
	if diff := cmp.Diff(want, order.Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if n, err := d.CloseSessions(callContext(t), map[string]string{"job": "a"}); n != 1 || err != nil {
		t.Errorf("closed %d sessions by label: %v", n, err)
	}
	if err := d.CloseSession(callContext(t), s.ID); err != nil {
		t.Errorf("closing a closed session: %v", err)
	}
}

func TestConditions(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	points := func(p float64) *float64 { return &p }
	second := 1.0
	e := d.exec(t, s.ID, v1.ExecSpec{
		Code: "result = 1 + 3\ndef f(x): return x * 2\nprint('hello')",
		Tests: []v1.Test{
			{Name: "is four", Condition: "result == 4", Reward: points(0.5)},
			{Name: "is five", Condition: "result == 5", Reward: points(0.5)},
			{Condition: "f(3) == 6 and 'hello' in stdout"},
			{Condition: "nonsense"},
			{Condition: "1 +"},
			{Condition: "(lambda: [0 for _ in iter(int, 1)])()", Timeout: &second},
			{Condition: "all(c in stdout for c in 'hel')"},
		},
	}, v1.StatusOK)
	var got []string
	for _, r := range e.Tests {
		got = append(got, r.Name+" "+r.Status)
	}
	want := []string{
		"is four passed", "is five wrong_answer", "test_2 passed", "test_3 runtime_error", "test_4 compile_error",
		"test_5 timeout", "test_6 passed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tests (-want +got):\n%s", diff)
	}
	if e.Reward == nil || *e.Reward != 2.5/6 || e.Passed != 3 || e.Total != 7 || e.Points != 2.5 {
		t.Errorf("reward %v, passed %d, points %v", e.Reward, e.Passed, e.Points)
	}
	if e := d.exec(t, s.ID, v1.ExecSpec{Code: "1/0", Tests: []v1.Test{{Condition: "True"}}}, v1.StatusError); e.Passed != 0 || *e.Reward != 0 {
		t.Errorf("a failed execution passed %d tests", e.Passed)
	}
	// The kernel dies in a condition: nothing after it passes.
	e = d.exec(t, s.ID, v1.ExecSpec{Code: "import os", Tests: []v1.Test{{Condition: "os._exit(0)"}, {Condition: "True"}}}, v1.StatusOK)
	if e.Passed != 0 || !e.StateLost {
		t.Errorf("tests = %+v, state lost %v", e.Tests, e.StateLost)
	}
}

// Executions of one session run one after the other, in the order of arrival.
func TestFirstInFirstOut(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	d.run(t, s.ID, "seen = []")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := d.Execute(callContext(t), s.ID, v1.ExecSpec{Code: fmt.Sprintf("import time; time.sleep(0.15); seen.append(%d)", i)}); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(30 * time.Millisecond) // so that they arrive in this order
	}
	wg.Wait()
	if e := d.run(t, s.ID, "seen"); string(e.Result) != "[0,1,2,3,4,5,6,7]" {
		t.Errorf("order %s", e.Result)
	}
}

func TestInterruptRestartCancel(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	d.run(t, s.ID, "kept = 7\nopen('file', 'w').write('x')")
	background := func(code string) chan v1.Execution {
		done := make(chan v1.Execution, 1)
		go func() {
			e, err := d.Execute(callContext(t), s.ID, v1.ExecSpec{Code: code})
			if err != nil {
				t.Error(err)
			}
			done <- e
		}()
		return done
	}
	running := func() v1.Execution {
		for range 200 {
			list, err := d.ListExecutions(callContext(t), s.ID)
			if err != nil {
				t.Fatal(err)
			}
			if last := list.Data[len(list.Data)-1]; last.Status == v1.StatusRunning && last.Stdout != "" {
				return last
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatal("nothing runs")
		return v1.Execution{}
	}
	const sleep = "import time, subprocess\nprint('up', flush=True)\n"

	done := background(sleep + "time.sleep(60)")
	running()
	if _, err := d.Interrupt(callContext(t), s.ID); err != nil {
		t.Fatal(err)
	}
	if e := <-done; e.Status != v1.StatusInterrupted || e.StateLost {
		t.Errorf("interrupted: %s, state lost %v", e.Status, e.StateLost)
	}
	if e := d.run(t, s.ID, "kept"); string(e.Result) != "7" {
		t.Errorf("after an interrupt, kept = %s", e.Result)
	}

	done = background(sleep + "subprocess.run(['sleep', '60'])")
	id := running().ID
	if e, err := d.Cancel(callContext(t), id); err != nil || e.Status != v1.StatusCancelled {
		t.Errorf("cancelled: %s, %v", e.Status, err)
	}
	<-done

	// Code that takes no notice of SIGINT loses its kernel, not its session.
	done = background("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + sleep + "time.sleep(60)")
	id = running().ID
	begun := time.Now()
	if e, err := d.Cancel(callContext(t), id); err != nil || e.Status != v1.StatusCancelled || !e.StateLost {
		t.Errorf("cancelled the hard way: %s, state lost %v, %v", e.Status, e.StateLost, err)
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("the ladder took %v", took)
	}
	<-done
	if e := d.run(t, s.ID, "open('file').read(), 'kept' in globals()"); *e.ResultRepr != "('x', False)" {
		t.Errorf("after a kill: %s", *e.ResultRepr)
	}

	d.run(t, s.ID, "kept = 8")
	if info, err := d.Restart(callContext(t), s.ID); err != nil || info.KernelRestarts != 2 {
		t.Errorf("restart: %+v, %v", info, err)
	}
	if e := d.run(t, s.ID, "open('file').read(), 'kept' in globals()"); *e.ResultRepr != "('x', False)" {
		t.Errorf("after a restart: %s", *e.ResultRepr)
	}
	// A queued execution is cancelled without running.
	done = background(sleep + "time.sleep(1)")
	running()
	queued := background("ran = True")
	var last v1.Execution
	for last.Status != v1.StatusQueued {
		list, err := d.ListExecutions(callContext(t), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		last = list.Data[len(list.Data)-1]
	}
	if _, err := d.Cancel(callContext(t), last.ID); err != nil {
		t.Error(err)
	}
	if e := <-queued; e.Status != v1.StatusCancelled || e.StartedAt != nil {
		t.Errorf("queued: %+v", e.Status)
	}
	<-done
	if e := d.run(t, s.ID, "'ran' in globals()"); string(e.Result) != "false" {
		t.Error("a cancelled execution ran")
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	short := 1.0
	idle := d.create(t, v1.SessionSpec{IdleTimeout: &short})
	lived := d.create(t, v1.SessionSpec{TTL: &short})
	forever := d.create(t, v1.SessionSpec{})
	// Running is not idling.
	d.run(t, idle.ID, "import time; time.sleep(1.5)")
	e := d.exec(t, forever.ID, v1.ExecSpec{Code: "1"}, v1.StatusOK)
	if e.Index != 1 {
		t.Errorf("index %d", e.Index)
	}
	deadline := time.Now().Add(15 * time.Second)
	for _, id := range []string{idle.ID, lived.ID} {
		for {
			_, err := d.GetSession(callContext(t), id)
			if client.IsNotFound(err) {
				if !strings.Contains(err.Error(), "has ended: ") {
					t.Errorf("the end is told as: %v", err)
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("session %s does not expire: %v", id, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	if _, err := d.GetSession(callContext(t), forever.ID); err != nil {
		t.Error(err)
	}
	// The end of a session ends what runs in it.
	ending := d.create(t, v1.SessionSpec{TTL: &short})
	d.exec(t, ending.ID, v1.ExecSpec{Code: "import time; time.sleep(60)"}, v1.StatusExpired)
	long := 600.0
	if s, err := d.PatchSession(callContext(t), forever.ID, v1.SessionPatch{TTL: &long}); err != nil || s.ExpiresAt == nil {
		t.Errorf("patched: %+v, %v", s, err)
	}
}

// TestSlowStart: what a session's start takes is not taken from its life.
func TestSlowStart(t *testing.T) {
	d := start(t)
	ttl := 100.0
	before := time.Now()
	s := d.create(t, v1.SessionSpec{TTL: &ttl, Isolation: "fresh"})
	took := time.Since(before)
	if s.ExpiresAt == nil {
		t.Fatal("the session has no end")
	}
	// Nearly all of the request is the interpreter's start.
	if left := s.ExpiresAt.Sub(before.Add(took / 2)); left < time.Duration(ttl*float64(time.Second)) {
		t.Errorf("a session whose start took %v has %v to live", took, left)
	}
}

func TestOneShot(t *testing.T) {
	d := start(t)
	e, err := d.RunOnce(callContext(t), v1.OneShot{ExecSpec: v1.ExecSpec{
		Code: "print(open('in.txt').read())", Files: []v1.InlineFile{{Name: "in.txt", Encoding: "string", Content: "given"}},
	}})
	if err != nil || e.Stdout != "given\n" {
		t.Errorf("one-shot: %+v, %v", e, err)
	}
	if again, err := d.GetExecution(callContext(t), e.ID); err != nil || again.Stdout != e.Stdout {
		t.Errorf("the execution afterwards: %+v, %v", again, err)
	}
}
