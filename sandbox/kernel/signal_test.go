package kernel

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// interrupted runs code, sends SIGINT after a while, and wants it to end soon.
func (s *session) interrupted(code string, after time.Duration) ([]Event, Outcome) {
	s.t.Helper()
	timer := time.AfterFunc(after, s.interrupt)
	defer timer.Stop()
	begin := time.Now()
	events, o := s.run(ExecuteRequest{Code: code})
	if took := time.Since(begin); took > after+2*time.Second {
		s.t.Errorf("%q ended %v after SIGINT", code, took-after)
	}
	return events, o
}

func TestInterrupt(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		s.run(ExecuteRequest{Code: "kept = 1; import time, subprocess, signal"})
		for _, code := range []string{
			"while True: pass",
			"time.sleep(30)",
			"while True: print('x' * 100)",
			"while True: display({'text/html': 'y'}, raw=True)",
			"try:\n time.sleep(30)\nfinally:\n print('cleaned')",
			"import asyncio\nawait asyncio.sleep(30)",
			"class R:\n def __repr__(self): time.sleep(30)\nR()",
			"class E(Exception):\n def __str__(self): time.sleep(30)\nraise E",
			"signal.signal(signal.SIGALRM, lambda *a: print('in the handler'))\nsignal.setitimer(signal.ITIMER_REAL, .001, .001)\ntry:\n while True: print('z')\nfinally: signal.setitimer(signal.ITIMER_REAL, 0)",
		} {
			events, o := s.interrupted(code, 150*time.Millisecond)
			last := events[len(events)-1]
			if o.Status != StatusInterrupted || last.Type != TypeError || last.Name != "KeyboardInterrupt" {
				t.Errorf("%q: %s, last event %+v", code, o.Status, last)
			}
			if text := strings.Join(last.Traceback, "\n"); strings.Contains(text, "tcid") {
				t.Errorf("a frame of the kernel:\n%s", text)
			}
		}
		// Code may catch it, and a second one ends it.
		events, o := s.interrupted("try:\n time.sleep(30)\nexcept KeyboardInterrupt: print('caught')", 100*time.Millisecond)
		if o.Status != StatusOK || transcript(events) != "out:caught\n" {
			t.Errorf("caught: %s %s", o.Status, transcript(events))
		}
		// Idle: ignored, also many times, and nothing is left for the next cell.
		for range 20 {
			s.interrupt()
			time.Sleep(time.Millisecond)
		}
		// A signal says not whom it is meant for: on a busy machine the last one may
		// arrive after the next cell.
		time.Sleep(300 * time.Millisecond)
		s.want("kept", "execute_result text/plain=1")
		// A handler that the user's code left does not survive the cell.
		s.run(ExecuteRequest{Code: "signal.signal(signal.SIGINT, signal.SIG_IGN)"})
		if _, o := s.interrupted("time.sleep(30)", 100*time.Millisecond); o.Status != StatusInterrupted {
			t.Errorf("after SIG_IGN: %s", o.Status)
		}
		timer := time.AfterFunc(100*time.Millisecond, s.interrupt)
		v, err := s.Condition(context.Background(), "time.sleep(30)", "", "")
		timer.Stop()
		if err != nil || v.Status != VerdictInterrupted {
			t.Errorf("condition: %+v, %v", v, err)
		}
	})
}

// TestInterruptEverywhere aims SIGINT at every phase of short cells. Whatever it
// hits, each cell gets one answer and the stream stays whole.
func TestInterruptEverywhere(t *testing.T) {
	s := start(t, onePython(t))
	s.run(ExecuteRequest{Code: "n = 0"})
	counts := map[string]int{}
	for i := range 400 {
		timer := time.AfterFunc(time.Duration(i*7%2000)*time.Microsecond, s.interrupt)
		_, o := s.run(ExecuteRequest{Code: "for n in range(300): print(n)\nn"})
		timer.Stop()
		counts[o.Status]++
	}
	t.Log(counts)
	if counts[StatusError] != 0 {
		t.Errorf("errors other than the interrupt: %v", counts)
	}
	s.want("7", "execute_result text/plain=7")
}

// TestAlarms: handlers of the user's that raise, at every phase. This is how
// many graders limit time.
func TestAlarms(t *testing.T) {
	s := start(t, onePython(t))
	s.run(ExecuteRequest{Code: "import signal\nclass T(Exception): pass\ndef h(*a): raise T\nsignal.signal(signal.SIGALRM, h)"})
	raised := 0
	for i := range 400 {
		_, o := s.run(ExecuteRequest{Code: fmt.Sprintf("signal.setitimer(signal.ITIMER_REAL, %de-6)\nfor n in range(300): print(n)\nn", 1+i*11%3000)})
		if o.Status == StatusError {
			raised++
		}
	}
	t.Logf("%d of 400 were hit", raised)
	if raised == 0 {
		t.Error("no alarm hit a cell")
	}
	s.run(ExecuteRequest{Code: "signal.setitimer(signal.ITIMER_REAL, 0)"})
	s.want("8", "execute_result text/plain=8")
	// An alarm that goes off between cells strikes at the start of the next.
	s.run(ExecuteRequest{Code: "signal.setitimer(signal.ITIMER_REAL, 0.02)"})
	time.Sleep(60 * time.Millisecond)
	if _, o := s.cell("pass"); o.Status != StatusError {
		t.Errorf("the late alarm: %s", o.Status)
	}
	s.want("9", "execute_result text/plain=9")
}
