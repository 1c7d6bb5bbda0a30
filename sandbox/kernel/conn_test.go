package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReconnect cuts the connection again and again in the middle of output.
// Every event must come once.
func TestReconnect(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		const lines = 60_000
		r := startKernel(t, python)
		var text strings.Builder
		var state State
		var outcome Outcome
		cuts := 0
		for first := true; ; first = false {
			c := r.connect(state)
			ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
			n := 0
			sink := func(e Event) {
				text.WriteString(e.Text)
				if n++; n == 3 {
					go c.fail(errors.New("cut by the test"))
				}
			}
			var err error
			if first {
				outcome, err = c.Execute(ctx, ExecuteRequest{Code: fmt.Sprintf("for i in range(%d): print(i)\n'end'", lines)}, sink)
			} else {
				if c.Active() == nil {
					t.Fatalf("no active request after %d cuts, %+v", cuts, c.Hello())
				}
				if _, err := c.Execute(ctx, ExecuteRequest{Code: "1"}, nil); !errors.Is(err, ErrBusy) {
					t.Fatalf("a request beside the active one: %v", err)
				}
				outcome, err = c.Attach(ctx, sink)
			}
			cancel()
			_ = c.Close()
			state = c.State()
			if err == nil {
				break
			}
			cuts++
		}
		var want strings.Builder
		for i := range lines {
			fmt.Fprintln(&want, i)
		}
		if text.String() != want.String() {
			t.Errorf("%d bytes, want %d", text.Len(), want.Len())
		}
		if cuts < 2 || string(outcome.Result) != `"end"` {
			t.Errorf("%d cuts, outcome %+v", cuts, outcome)
		}
		s := &session{r, r.connect(state)}
		if a := s.Active(); a != nil {
			t.Errorf("still active: %+v", a)
		}
		s.want("i", "execute_result text/plain=59999")
	})
}

// TestDaemonAway: what happens while no daemon is connected is not lost.
func TestDaemonAway(t *testing.T) {
	r := startKernel(t, onePython(t))
	c := r.connect(State{})
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	code := "import time\nprint('a'); time.sleep(0.5); print('b'); [print('x' * 1023) for i in range(20 << 10)]; time.time()"
	got := 0
	_, err := c.Execute(ctx, ExecuteRequest{Code: code}, func(e Event) { got += len(e.Text) })
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(c.Err(), context.DeadlineExceeded) {
		t.Fatalf("an execution with a deadline: %v, %v", err, c.Err())
	}
	time.Sleep(time.Second) // the window of 16 MiB fills, and the code waits
	c = r.connect(c.State())
	back := time.Now()
	ctx, cancel = context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	o, err := c.Attach(ctx, func(e Event) { got += len(e.Text) })
	if err != nil {
		t.Fatal(err)
	}
	if got != 4+20<<20 {
		t.Errorf("%d bytes of output, want %d", got, 4+20<<20)
	}
	var ended float64
	if _, err := fmt.Sscan(string(o.Result), &ended); err != nil || ended < float64(back.UnixMicro())/1e6-0.01 {
		t.Errorf("the code did not wait: %s, %v", o.Result, err)
	}
	// A daemon that knows nothing gets what was not acknowledged: nothing now.
	_ = c.Close()
	s := &session{r, r.connect(State{})}
	s.want("1", "execute_result text/plain=1")
	v, err := s.Condition(context.Background(), "True", "", "")
	if err != nil || v.Status != VerdictPassed {
		t.Errorf("%+v %v", v, err)
	}
}

func TestAttachCondition(t *testing.T) {
	r := startKernel(t, onePython(t))
	c := r.connect(State{})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Condition(ctx, "__import__('time').sleep(0.3) is None", "", ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	c = r.connect(c.State())
	if _, err := c.Attach(context.Background(), nil); err == nil {
		t.Error("attached to a condition as to an execution")
	}
	v, err := c.AttachCondition(context.Background())
	if err != nil || v.Status != VerdictPassed {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestKernelDies(t *testing.T) {
	for _, code := range []string{
		"import os; print('last words', flush=True); os._exit(3)",
		"import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
		"import os; os.closerange(3, 100); import time; time.sleep(60)",
		// A forked child must not keep the connection open.
		"import os, time\nif os.fork() == 0: time.sleep(60)\nelse: os._exit(1)",
	} {
		s := start(t, onePython(t))
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err := s.Execute(ctx, ExecuteRequest{Code: code}, func(Event) {})
		cancel()
		if !errors.Is(err, ErrLost) {
			t.Errorf("%q: %v", code, err)
		}
		select {
		case <-s.Done():
		case <-time.After(time.Second):
			t.Errorf("%q: Done stays open", code)
		}
		if _, err := s.Execute(context.Background(), ExecuteRequest{Code: "1"}, nil); !errors.Is(err, ErrLost) {
			t.Errorf("a request after that: %v", err)
		}
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	}
}

func TestRequestTooLarge(t *testing.T) {
	s := start(t, onePython(t))
	_, err := s.Execute(context.Background(), ExecuteRequest{Stdin: make([]byte, 50<<20)}, nil)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	events, _ := s.run(ExecuteRequest{Code: "import sys; len(sys.stdin.read())", Stdin: make([]byte, 40<<20)})
	if got := transcript(events); got != "execute_result text/plain=41943040" {
		t.Errorf("40 MiB of stdin: %s", got)
	}
}

func TestClose(t *testing.T) {
	s := start(t, onePython(t))
	go func() { time.Sleep(100 * time.Millisecond); _ = s.Close() }()
	_, err := s.Execute(context.Background(), ExecuteRequest{Code: "import time; time.sleep(1)"}, func(Event) {})
	if !errors.Is(err, ErrClosed) || !errors.Is(s.Err(), ErrClosed) {
		t.Errorf("%v, %v", err, s.Err())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// benchmark measures a cell's round trip. The median says more than the mean on
// a machine that others use.
func benchmark(b *testing.B, code string) {
	s := start(b, onePython(b))
	s.run(ExecuteRequest{Code: code})
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		s.run(ExecuteRequest{Code: code})
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)/10].Microseconds()), "p10-us")
}

func BenchmarkRoundTrip(b *testing.B) { benchmark(b, "1+1") }

func BenchmarkPrint(b *testing.B) { benchmark(b, "print('hi')") }

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s := start(b, onePython(b))
		s.run(ExecuteRequest{Code: "1"})
	}
}
