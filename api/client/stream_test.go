package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "tcid/api/v1"
)

// events are those of an execution that prints n lines.
func events(n int) []v1.Event {
	all := []v1.Event{{Seq: 1, Type: v1.EventStarted, ExecutionID: "exe_1", SessionID: "ses_1"}}
	for i := range n {
		all = append(all, v1.Event{Seq: int64(i + 2), Type: v1.OutputStdout, Text: fmt.Sprintf("line %d\n", i)})
	}
	return append(all, v1.Event{Seq: int64(n + 2), Type: v1.EventFinished, Execution: &v1.Execution{ID: "exe_1", Status: v1.StatusOK, Result: json.RawMessage("null")}})
}

// source is a daemon with one execution. Each connection gets as many events as
// cuts says for it, and then breaks; those after them get all.
type source struct {
	events []v1.Event
	cuts   []int
	// before, when set, may write something else in the place of event seq of a
	// connection; true: the connection ends there.
	before func(w http.ResponseWriter, r *http.Request, connection int, seq int64) bool
	noID   bool // without X-Execution-Id

	mu       sync.Mutex
	requests []string
	keys     []string
}

// seen are the requests and their keys.
func (s *source) seen() (requests, keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests), slices.Clone(s.keys)
}

func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	connection := len(s.requests)
	s.requests = append(s.requests, r.Method+" "+r.RequestURI)
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		s.keys = append(s.keys, key)
	}
	s.mu.Unlock()
	cut := -1
	if connection < len(s.cuts) {
		cut = s.cuts[connection]
	}
	if r.Header.Get("Accept") != ndjson {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	w.Header().Set("Content-Type", ndjson+"; charset=utf-8")
	if !s.noID {
		w.Header().Set("X-Execution-Id", "exe_1")
	}
	flush := func() { _ = http.NewResponseController(w).Flush() }
	flush()
	sent := 0
	for _, e := range s.events {
		if e.Seq <= after {
			continue
		}
		if sent == cut {
			// In the middle of a line, for good measure.
			_, _ = io.WriteString(w, `{"seq":`)
			flush()
			panic(http.ErrAbortHandler)
		}
		if s.before != nil && s.before(w, r, connection, e.Seq) {
			flush()
			return
		}
		_ = json.NewEncoder(w).Encode(e)
		flush()
		sent++
	}
}

// collect reads a stream to its end.
func collect(s *Stream) ([]v1.Event, error) {
	var all []v1.Event
	for {
		e, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
}

// The connection breaks behind each event, in turn and again and again.
func TestStreamThatBreaks(t *testing.T) {
	want := events(6)
	for _, noID := range []bool{false, true} {
		for first := range len(want) {
			for _, cuts := range [][]int{{first}, {first, 0, 1, 0}, {first, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}} {
				t.Run(fmt.Sprintf("without id %t/%v", noID, cuts), func(t *testing.T) {
					t.Parallel()
					src := &source{events: want, cuts: cuts, noID: noID}
					c := overUnix(t, src)
					c.pause = time.Millisecond
					s, err := c.Stream(t.Context(), "s", v1.ExecSpec{Code: "1"}, Compact)
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					got, err := collect(s)
					if diff := cmp.Diff(want, got); diff != "" || err != nil {
						t.Errorf("%v (-want +got):\n%s", err, diff)
					}
					if s.ExecutionID() != "exe_1" || s.Execution() == nil || s.Execution().Status != v1.StatusOK {
						t.Errorf("the execution is %q, %+v", s.ExecutionID(), s.Execution())
					}
					if _, err := s.Next(); !errors.Is(err, io.EOF) {
						t.Errorf("behind the end comes %v", err)
					}
					posts := 0
					requests, keys := src.seen()
					for i, r := range requests {
						if strings.HasPrefix(r, "POST /v1/sessions/s/executions?compact=true") {
							posts++
						} else if !strings.HasPrefix(r, "GET /v1/executions/exe_1/events?after=") || !strings.HasSuffix(r, "&compact=true") {
							t.Errorf("request %d is %s", i, r)
						}
					}
					if !noID && posts != 1 {
						t.Errorf("the code was sent %d times though the execution was known", posts)
					}
					if len(slices.Compact(keys)) != 1 {
						t.Errorf("the keys are %q", keys)
					}
				})
			}
		}
	}
}

// What a stream may hold besides its events, and what it may not.
func TestStreamOfOddLines(t *testing.T) {
	type before = func(w http.ResponseWriter, r *http.Request, connection int, seq int64) bool
	write := func(at int64, text string) before {
		return func(w http.ResponseWriter, _ *http.Request, _ int, seq int64) bool {
			if seq == at {
				_, _ = io.WriteString(w, text)
			}
			return false
		}
	}
	missing := v1.Event{Seq: 3, Type: v1.EventTruncated, Events: 2}
	for _, c := range []struct {
		name        string
		before      before
		want        []v1.Event
		wrong       string
		connections int
	}{
		{"keepalives", write(3, strings.Repeat(`{"type":"keepalive"}`+"\n", 3)), events(3), "", 1},
		{"unknown fields", write(2, `{"type":"keepalive","new":{}}`+"\n"), events(3), "", 1},
		{"an event again", write(3, `{"seq":2,"type":"stdout","text":"again"}`+"\n"), events(3), "", 1},
		{"no JSON", write(3, "<html>\n"), events(3)[:2], "read the stream: invalid character", 1},
		{"a last one without its execution", write(3, `{"seq":3,"type":"finished"}`+"\n"), events(3)[:2], "no execution", 1},
		// The connection is not to be trusted; another one makes up for it.
		{"a gap", func(w http.ResponseWriter, _ *http.Request, connection int, seq int64) bool {
			if connection == 0 && seq == 3 {
				_, _ = io.WriteString(w, `{"seq":4,"type":"stdout","text":"early"}`+"\n")
			}
			return false
		}, events(3), "", 2},
		{"an end that is none", func(_ http.ResponseWriter, _ *http.Request, connection int, seq int64) bool {
			return connection < 3 && seq == 3
		}, events(3), "", 4},
		{"truncated", func(w http.ResponseWriter, _ *http.Request, _ int, seq int64) bool {
			if seq == 2 {
				_ = json.NewEncoder(w).Encode(missing)
			}
			return false
		}, append([]v1.Event{events(3)[0], missing}, events(3)[3:]...), "", 1},
		{"silence", func(w http.ResponseWriter, r *http.Request, connection int, seq int64) bool {
			if connection == 0 && seq == 3 {
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
			return false
		}, events(3), "", 2},
		{"never a word", func(w http.ResponseWriter, r *http.Request, _ int, seq int64) bool {
			return seq == 3
		}, events(3)[:2], "read the stream: it ended without its last event", 1 + maxReconnects},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			src := &source{events: events(3), before: c.before}
			client := overTCP(t, src)
			client.silence, client.pause = 300*time.Millisecond, time.Millisecond
			s, err := client.StreamOnce(t.Context(), v1.OneShot{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got, err := collect(s)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("got %v, want %q", err, c.wrong)
			}
			if requests, _ := src.seen(); len(requests) != c.connections {
				t.Errorf("%d connections, want %d", len(requests), c.connections)
			}
			if _, again := s.Next(); !errors.Is(again, err) && err != nil {
				t.Errorf("after %v comes %v", err, again)
			}
		})
	}
}

// Keepalives hold a stream open for as long as they come.
func TestStreamThatIsQuiet(t *testing.T) {
	src := &source{events: events(1), before: func(w http.ResponseWriter, _ *http.Request, _ int, seq int64) bool {
		for range 6 {
			if seq == 2 {
				_, _ = io.WriteString(w, `{"type":"keepalive"}`+"\n")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		}
		return false
	}}
	c := overTCP(t, src)
	c.silence = 400 * time.Millisecond
	s, err := c.Resume(t.Context(), "exe_1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := collect(s)
	if requests, _ := src.seen(); err != nil || len(got) != 3 || len(requests) != 1 {
		t.Errorf("%d events, %v, over %d connections", len(got), err, len(requests))
	}
}

func TestResume(t *testing.T) {
	src := &source{events: events(3), cuts: []int{1}}
	s, err := overUnix(t, src).Resume(t.Context(), "exe_1", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := collect(s)
	if diff := cmp.Diff(events(3)[2:], got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	want := []string{"GET /v1/executions/exe_1/events?after=2", "GET /v1/executions/exe_1/events?after=3"}
	requests, _ := src.seen()
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Error(diff)
	}
}

// Behind the last event there is nothing, and the execution tells that this is so.
func TestResumeBehindTheEnd(t *testing.T) {
	for status, over := range map[string]bool{v1.StatusOK: true, v1.StatusRunning: false} {
		src := &source{events: events(3)}
		c := overUnix(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/events") {
				_ = json.NewEncoder(w).Encode(v1.Execution{ID: "exe_1", Status: status})
				return
			}
			src.ServeHTTP(w, r)
		}))
		c.pause = time.Millisecond
		s, err := c.Resume(t.Context(), "exe_1", 5)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		got, err := collect(s)
		if len(got) > 0 || (err == nil) != over || (s.Execution() != nil) != over {
			t.Errorf("%s: %v, %v, %+v", status, got, err, s.Execution())
		}
	}
}

func TestWait(t *testing.T) {
	src := &source{events: events(3), cuts: []int{2}}
	gone := &recorder{status: 410, body: `{"error":{"message":"the events are no longer kept"}}`}
	for name, h := range map[string]http.Handler{"listening": src, "long ago": gone} {
		c := overUnix(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/events") {
				_ = json.NewEncoder(w).Encode(v1.Execution{ID: "exe_1", Status: v1.StatusOK, Stdout: "all of it"})
				return
			}
			h.ServeHTTP(w, r)
		}))
		if e, err := c.Wait(t.Context(), "exe_1"); err != nil || e.Stdout != "all of it" {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// A refusal is told at once, whether it comes at the start or later.
func TestStreamThatIsRefused(t *testing.T) {
	gone := &recorder{status: 410, body: `{"error":{"message":"the events are no longer kept","code":"events_gone"}}`}
	var refused *Error
	if _, err := overTCP(t, gone).Resume(t.Context(), "e", 7); !errors.As(err, &refused) || refused.Status != 410 {
		t.Errorf("got %v", err)
	}
	if _, err := overTCP(t, gone).Stream(t.Context(), "s", v1.ExecSpec{}); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
	if _, err := overTCP(t, &recorder{status: 200, body: `{}`}).Stream(t.Context(), "s", v1.ExecSpec{}); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("an old daemon: %v", err)
	}
	src := &source{events: events(3), cuts: []int{2}}
	later := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			gone.ServeHTTP(w, r)
			return
		}
		src.ServeHTTP(w, r)
	})
	s, err := overTCP(t, later).Stream(t.Context(), "s", v1.ExecSpec{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := collect(s); len(got) != 2 || !errors.As(err, &refused) {
		t.Errorf("%d events, then %v", len(got), err)
	}
}

// Close ends a Next that waits, and the connection, by which the daemon learns of
// it. So does the end of the context.
func TestStreamThatIsLeft(t *testing.T) {
	why := errors.New("the user had enough")
	for name, leave := range map[string]func(s *Stream, cancel context.CancelCauseFunc){
		"close":   func(s *Stream, _ context.CancelCauseFunc) { s.Close() },
		"context": func(_ *Stream, cancel context.CancelCauseFunc) { cancel(why) },
	} {
		t.Run(name, func(t *testing.T) {
			left := make(chan struct{})
			src := &source{events: events(1), before: func(_ http.ResponseWriter, r *http.Request, _ int, seq int64) bool {
				if seq == 2 {
					<-r.Context().Done()
					close(left)
				}
				return false
			}}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			s, err := overUnix(t, src).Stream(ctx, "s", v1.ExecSpec{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Next(); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(50*time.Millisecond, func() { leave(s, cancel) })
			if _, err := s.Next(); !errors.Is(err, errClosed) && !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
			select {
			case <-left:
			case <-time.After(10 * time.Second):
				t.Error("the daemon did not learn of it")
			}
			if _, err := s.Next(); err == nil {
				t.Error("there are events behind the end")
			}
		})
	}
}

func TestLongLine(t *testing.T) {
	lines := strings.Repeat("x", 10_000) + "\nshort\n"
	for most, want := range map[int]bool{10_001: true, 10_000: false, 3: false} {
		line, err := readLine(bufio.NewReader(strings.NewReader(lines)), most)
		if ok := err == nil; ok != want || ok && len(line) != 10_001 {
			t.Errorf("most %d: %d bytes, %v", most, len(line), err)
		}
	}
}
