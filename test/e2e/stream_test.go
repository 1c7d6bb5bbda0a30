package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "tcid/api/v1"
)

// listener is a connection on which events come.
type listener struct {
	t  *testing.T
	d  *daemon
	to answer
	in *bufio.Reader
}

// answer is one whose body may still come.
type answer struct {
	status int
	header http.Header
	body   io.ReadCloser // closed when the test ends, at the latest
}

// raw sends a request without any of our clients' care. body may be nil.
func (d *daemon) request(t *testing.T, method, path string, body any, header ...string) answer {
	t.Helper()
	var text io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(callContext(t), method, "http://localhost"+path, text)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := d.http().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return answer{resp.StatusCode, resp.Header, resp.Body}
}

// listen starts an execution, or with body nil listens to one.
func (d *daemon) listen(t *testing.T, path string, body any, header ...string) *listener {
	t.Helper()
	method := http.MethodPost
	if body == nil {
		method = http.MethodGet
	}
	resp := d.request(t, method, path, body, append([]string{"Accept", "application/x-ndjson"}, header...)...)
	if resp.status != http.StatusOK {
		text, _ := io.ReadAll(resp.body)
		t.Fatalf("%s: %d %s", path, resp.status, text)
	}
	return &listener{t, d, resp, bufio.NewReaderSize(resp.body, 1<<16)}
}

func (l *listener) id() string { return l.to.header.Get("X-Execution-Id") }

// next returns the next event that has a number; io.EOF after the last.
func (l *listener) next() (v1.Event, error) {
	for {
		line, err := l.in.ReadBytes('\n')
		if err != nil {
			return v1.Event{}, err
		}
		var e v1.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return v1.Event{}, fmt.Errorf("%.200q: %w", line, err)
		}
		l.d.contract.Event(e.Type, line)
		if e.Type != v1.EventKeepalive {
			return e, nil
		}
	}
}

func (l *listener) close() { _ = l.to.body.Close() }

// rest returns all events up to the end, which must be finished.
func (l *listener) rest() []v1.Event {
	l.t.Helper()
	var all []v1.Event
	for {
		e, err := l.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.t.Fatal(err)
		}
		all = append(all, e)
	}
	if len(all) == 0 || all[len(all)-1].Type != v1.EventFinished {
		l.t.Fatalf("a stream ended without finished, after %d events", len(all))
	}
	return all
}

// told is one line for each event; adjacent text of one stream is joined.
func told(events []v1.Event) string {
	var lines []string
	last := ""
	for i, e := range events {
		if e.Seq != events[0].Seq+int64(i) {
			lines = append(lines, fmt.Sprintf("(number %d at place %d)", e.Seq, i))
		}
		line := e.Type
		switch e.Type {
		case v1.OutputStdout, v1.OutputStderr:
			if line = e.Type + " " + e.Text; last == e.Type {
				lines[len(lines)-1] += e.Text
				continue
			}
		case v1.OutputError:
			line += " " + e.Name
		case v1.EventTest:
			line += " " + e.Test.Name + " " + e.Test.Status
		case v1.EventFinished:
			line += " " + e.Execution.Status
		case v1.EventClearOutput:
			line += " " + strconv.FormatBool(e.Wait)
		default:
			if text, ok := e.Data["text/plain"].(string); ok {
				line += " " + text
			}
			if e.DisplayID != "" {
				line += " #" + e.DisplayID
			}
		}
		last = e.Type
		lines = append(lines, line)
	}
	return strings.Join(lines, "|")
}

func TestStream(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	path := "/v1/sessions/" + s.ID + "/executions"
	spec := v1.ExecSpec{
		Code:  "import sys\nprint('a'); print('b', file=sys.stderr); print('c')\nh = display(1, display_id='d'); h.update(2)\nresult = 7\n'last'",
		Tests: []v1.Test{{Name: "seven", Condition: "result == 7"}, {Name: "c", Condition: "'c' in stdout"}},
	}
	const want = "started|stdout a\n|stderr b\n|stdout c\n|display_data 1 #d|update_display_data 2 #d|execute_result 'last'|test seven wrong_answer|test c passed|finished ok"
	l := d.listen(t, path, spec)
	events := l.rest()
	if got := told(events); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if events[0].ExecutionID != l.id() || events[0].SessionID != s.ID || events[0].Seq != 1 {
		t.Errorf("it begins with %+v", events[0])
	}
	whole := events[len(events)-1].Execution
	if whole.Stdout != "a\nc\n" || len(whole.Outputs) != 5 || whole.ID != l.id() {
		t.Errorf("the execution at its end: %+v", whole)
	}
	// Again from any place, by anybody, in either form, or without what is known.
	for after := range len(events) {
		again := d.listen(t, fmt.Sprintf("/v1/executions/%s/events?after=%d&compact=true", l.id(), after), nil).rest()
		if told(again) != told(events[after:]) || again[0].Seq != int64(after+1) {
			t.Errorf("after %d: %s", after, told(again))
		}
		if e := again[len(again)-1].Execution; e.Stdout != "" || len(e.Outputs) != 0 || e.Status != v1.StatusOK {
			t.Errorf("compact: %+v", e)
		}
	}
	if rest := d.listen(t, "/v1/executions/"+l.id()+"/events?after="+strconv.Itoa(len(events)), nil); rest.to.status != http.StatusOK {
		t.Error("nothing is left, but that is no error")
	} else if e, err := rest.next(); !errors.Is(err, io.EOF) {
		t.Errorf("%+v, %v after the last event", e, err)
	}
	for query, status := range map[string]int{"after=99": 400, "after=-1": 400, "after=x": 400, "before=1": 400} {
		if got, _ := d.raw(t, http.MethodGet, "/v1/executions/"+l.id()+"/events?"+query, "", ""); got != status {
			t.Errorf("%s: %d", query, got)
		}
	}
	if resp := d.request(t, http.MethodGet, "/v1/executions/exe_unknown/events", nil); resp.status != http.StatusNotFound {
		t.Errorf("an unknown execution: %d", resp.status)
	}
}

// The forms of an answer, and how a request chooses.
func TestStreamForms(t *testing.T) {
	d := start(t)
	spec := v1.ExecSpec{Code: "print('é\\n'); print(1)"}
	for _, c := range []struct {
		accept string
		stream bool
		want   string
	}{
		{"", false, "application/json"},
		{"*/*", false, "application/json"},
		{"application/json", false, "application/json"},
		{"application/json", true, "application/x-ndjson"},
		{"", true, "application/x-ndjson"},
		{"application/x-ndjson", false, "application/x-ndjson"},
		{"text/html, text/event-stream;q=0.5, application/json", false, "text/event-stream"},
		{"text/event-stream;q=0, application/json", false, "application/json"},
		{"text/event-stream", true, "text/event-stream"},
	} {
		spec.Stream = c.stream
		resp := d.request(t, http.MethodPost, "/v1/executions", spec, "Accept", c.accept)
		body, err := io.ReadAll(resp.body)
		if err != nil || resp.header.Get("Content-Type") != c.want || resp.header.Get("X-Execution-Id") == "" {
			t.Errorf("%q: %v, %s", c.accept, err, resp.header)
		}
		if c.want == "text/event-stream" {
			checkSSE(t, string(body))
		}
	}
	// A browser that has lost its connection says where it was.
	l := d.listen(t, "/v1/executions", spec)
	id := l.id()
	l.rest()
	resp := d.request(t, http.MethodGet, "/v1/executions/"+id+"/events?after=1", nil, "Accept", "text/event-stream", "Last-Event-ID", "2")
	if body, _ := io.ReadAll(resp.body); !strings.HasPrefix(string(body), "id: 3\n") {
		t.Errorf("after 2 comes %.100s", body)
	}
}

func checkSSE(t *testing.T, body string) {
	t.Helper()
	blocks := strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n")
	for i, block := range blocks {
		fields := strings.Split(block, "\n")
		var e v1.Event
		if len(fields) != 3 || json.Unmarshal([]byte(strings.TrimPrefix(fields[2], "data: ")), &e) != nil ||
			fields[0] != fmt.Sprintf("id: %d", i+1) || fields[1] != "event: "+e.Type || e.Seq != int64(i+1) {
			t.Errorf("block %d is %q", i, block)
		}
	}
	if !strings.Contains(blocks[len(blocks)-1], "event: finished") {
		t.Errorf("it ends with %q", blocks[len(blocks)-1])
	}
}

// A client killed at a random event: whoever goes on finds every event once and
// in order.
func TestResumeAfterKills(t *testing.T) {
	const numbers = 40
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	code := fmt.Sprintf("import time\nfor i in range(%d):\n    print(i, flush=True)\n    if i %% 4 == 0: display(i)\n    if i %% 20 == 0: time.sleep(0.01)", numbers)
	for run := range times(50, 200) {
		l := d.listen(t, "/v1/sessions/"+s.ID+"/executions", v1.ExecSpec{Code: code})
		var events []v1.Event
		for {
			for range rand.IntN(12) {
				e, err := l.next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				events = append(events, e)
			}
			id := l.id()
			l.close()
			if n := len(events); n > 0 && events[n-1].Type == v1.EventFinished {
				break
			}
			l = d.listen(t, fmt.Sprintf("/v1/executions/%s/events?after=%d", id, len(events)), nil)
		}
		var text strings.Builder
		displays := 0
		for i, e := range events {
			if e.Seq != int64(i+1) {
				t.Fatalf("run %d: event %d has the number %d", run, i+1, e.Seq)
			}
			text.WriteString(e.Text)
			if e.Type == v1.OutputDisplayData {
				displays++
			}
		}
		if want := lines(0, numbers); text.String() != want || displays != numbers/4 {
			t.Fatalf("run %d: %d displays, text %q", run, displays, text.String())
		}
	}
}

// lines are the numbers from a to b, one in a line.
func lines(a, b int) string {
	var text strings.Builder
	for i := a; i < b; i++ {
		fmt.Fprintln(&text, i)
	}
	return text.String()
}

// flood prints numbered lines of 1 KiB: MiB per second for so many seconds.
func flood(mib, seconds int) string {
	return fmt.Sprintf(`import sys, time
start = time.monotonic()
for i in range(%d):
    for j in range(1024 * %d // 10):
        sys.stdout.write('%%d,%%d ' %% (i, j) + 'x' * 1000 + '\n')
    time.sleep(max(0, start + (i + 1) / 10 - time.monotonic()))
`, seconds*10, mib)
}

// flooded checks that text continues what came before, and returns where it ends.
type flooded struct {
	mib, i, j int
	left      string // of a line
	bytes     int
}

func (f *flooded) take(text string) error {
	f.bytes += len(text)
	text = f.left + text
	for {
		line, rest, whole := strings.Cut(text, "\n")
		if !whole {
			f.left = text
			return nil
		}
		if want := fmt.Sprintf("%d,%d ", f.i, f.j); !strings.HasPrefix(line, want) || len(line) != len(want)+1000 {
			return fmt.Errorf("%.40q where %q should be", line, want)
		}
		if f.j++; f.j == 1024*f.mib/10 {
			f.i, f.j = f.i+1, 0
		}
		text = rest
	}
}

// At 8 MiB/s a client that keeps being killed misses nothing; one that reads all
// sees all, however much that is; of what is kept the truncation is told; and one
// that does not read hurts nobody.
func TestFlood(t *testing.T) {
	const mib = 8
	seconds := times(4, 10)
	d := start(t)
	before := residentKiB(t, d.cmd.Process.Pid)
	s, neighbour := d.create(t, v1.SessionSpec{}), d.create(t, v1.SessionSpec{})
	most := int64(16 << 20)
	steady := d.listen(t, "/v1/sessions/"+s.ID+"/executions", v1.ExecSpec{Code: flood(mib, seconds), MaxOutputBytes: most})
	deaf := d.listen(t, "/v1/executions/"+steady.id()+"/events", nil) // and never reads
	var wg sync.WaitGroup
	var kills int
	wg.Go(func() { // killed again and again
		seen, after := flooded{mib: mib}, int64(0)
		for {
			l := d.listen(t, fmt.Sprintf("/v1/executions/%s/events?after=%d", steady.id(), after), nil)
			for n := rand.IntN(60); n > 0; n-- {
				e, err := l.next()
				if err != nil || e.Seq != after+1 || e.Type == v1.EventTruncated {
					t.Errorf("after %d: %s %d, %v", after, e.Type, e.Seq, err)
					return
				}
				after = e.Seq
				if err := seen.take(e.Text); err != nil {
					t.Error(err)
					return
				}
				if e.Type == v1.EventFinished {
					return
				}
			}
			l.close()
			kills++
		}
	})
	var peak int
	var slowest time.Duration
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			begin := time.Now()
			if e, err := d.Execute(callContext(t), neighbour.ID, v1.ExecSpec{Code: "1+1"}); err != nil || string(e.Result) != "2" {
				t.Errorf("a neighbour: %s, %v", e.Result, err)
			}
			slowest = max(slowest, time.Since(begin))
			peak = max(peak, residentKiB(t, d.cmd.Process.Pid))
		}
	})
	seen := flooded{mib: mib}
	var last v1.Event
	for last.Type != v1.EventFinished {
		e, err := steady.next()
		if err != nil || e.Seq != last.Seq+1 || e.Type == v1.EventTruncated {
			t.Fatalf("after %d: %s %d, %v", last.Seq, e.Type, e.Seq, err)
		}
		if err := seen.take(e.Text); err != nil {
			t.Fatal(err)
		}
		last = e
	}
	close(stop)
	wg.Wait()
	deaf.close()
	e := last.Execution
	t.Logf("%d MiB in %.1f s; the other client was killed %d times; the daemon had %d KiB before and at most %d; a neighbour's slowest 1+1 took %v",
		seen.bytes>>20, e.Receipt.WallMS/1000, kills, before, peak, slowest)
	if e.Status != v1.StatusOK || seen.i != seconds*10 {
		t.Errorf("%s, and %d of %d parts came", e.Status, seen.i, seconds*10)
	}
	if kept := int64(len(e.Stdout)); e.Truncated.StdoutBytes < 1<<20 || kept < most || kept > most+4096 || kept+e.Truncated.StdoutBytes < int64(seen.bytes) {
		t.Errorf("%d bytes are kept and %d told as dropped, of %d", kept, e.Truncated.StdoutBytes, seen.bytes)
	}
	// Twice what is kept (output and events), JSON of it at the end, and Go's room.
	if limit := before + int(most>>10)*10; peak > limit {
		t.Errorf("the daemon had up to %d KiB, more than %d", peak, limit)
	}
	// Whoever comes too late is told.
	first, err := d.listen(t, "/v1/executions/"+steady.id()+"/events", nil).next()
	if err != nil || first.Type != v1.EventTruncated || first.Events != first.Seq || first.Seq < 10 {
		t.Errorf("from the beginning: %+v, %v", first, err)
	}
}

// Below the limit nothing is lost, however small the pieces.
func TestTinyPrints(t *testing.T) {
	const n = 100_000
	d := start(t)
	before := residentKiB(t, d.cmd.Process.Pid)
	l := d.listen(t, "/v1/executions", v1.ExecSpec{Code: fmt.Sprintf("for i in range(%d): print(i)", n)})
	var text strings.Builder
	events := l.rest()
	for i, e := range events {
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d has the number %d", i+1, e.Seq)
		}
		text.WriteString(e.Text)
	}
	e := events[len(events)-1].Execution
	if want := lines(0, n); text.String() != want || e.Stdout != want || e.Truncated.StdoutBytes != 0 {
		t.Errorf("%d bytes in events, %d in the execution, %d wanted", text.Len(), len(e.Stdout), len(want))
	}
	t.Logf("%d prints came in %d events and %.1f s; the daemon had %d KiB before and %d after", n, len(events), e.Receipt.WallMS/1000,
		before, residentKiB(t, d.cmd.Process.Pid))
}

// Whoever asks often for much and doesn't read it is refused before the daemon's
// memory is full of it.
func TestUnreadAnswersAreBounded(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	const most = 24 << 20
	e := decode[v1.Execution](t, d.request(t, http.MethodPost, "/v1/sessions/"+s.ID+"/executions", v1.ExecSpec{
		Code:   "import sys, time\nfor i in range(23): sys.stdout.write('x' * (1 << 20))\nsys.stdout.flush(); open('written', 'w').close(); time.sleep(60)",
		Detach: true, MaxOutputBytes: most,
	}), http.StatusAccepted)
	for ctx, there := callContext(t), false; !there; time.Sleep(20 * time.Millisecond) {
		list, err := d.ListFiles(ctx, s.ID, "", false)
		if err != nil {
			t.Fatal(err)
		}
		there = len(list.Data) > 0
	}
	path := "/v1/executions/" + e.ID
	var unread []net.Conn
	// refused asks once more, and reads of the answer its status alone.
	refused := func() bool {
		c := dialUnix(t, d)
		unread = append(unread, c)
		if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("HTTP/1.1 429"))
		if _, err := io.ReadFull(c, line); err != nil {
			t.Fatal(err)
		}
		return string(line) == "HTTP/1.1 429"
	}
	for !refused() {
		if len(unread) == 50 {
			t.Fatalf("%d unread answers of %d bytes are allowed", len(unread), most)
		}
	}
	for _, c := range unread {
		_ = c.Close()
	}
	for refused() {
		time.Sleep(50 * time.Millisecond)
	}
}
