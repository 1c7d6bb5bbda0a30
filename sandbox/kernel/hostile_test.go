package kernel

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const goodHello = `{"type":"hello","protocol":1,"python":"3.11.7","shell":"plain","pid":1,"next_seq":1,"acked":0,"last_id":0,"active":null}`

func framed(bodies ...string) []byte {
	var out []byte
	for _, b := range bodies {
		out = appendFrame(out, []byte(b))
	}
	return out
}

// fake is a peer that sends raw bytes after the first request has arrived, and
// then hangs up, or stays silent.
func fake(t *testing.T, hello string, raw []byte, hangUp bool) (*Conn, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		br := bufio.NewReader(theirs)
		_, _ = theirs.Write(framed(hello))
		if _, err := readFrame(br, MaxRequest); err != nil { // resume
			return
		}
		if _, err := readFrame(br, MaxRequest); err != nil { // the request
			return
		}
		go func() { _, _ = io.Copy(io.Discard, br) }()
		_, _ = theirs.Write(raw)
		if hangUp {
			_ = theirs.Close()
		}
	}()
	t.Cleanup(func() { _ = theirs.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return Handshake(ctx, ours)
}

const goodDone = `{"seq":1,"type":"done","id":1,"status":"ok","result_json":false,"result_repr":null,"result_source":"none"}`

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestHostileEvents(t *testing.T) {
	display := func(data string) string {
		return `{"seq":1,"type":"display_data","data":` + data + `,"metadata":{}}`
	}
	done := func(change, to string) string { return strings.Replace(goodDone, change, to, 1) }
	keys := func(n int) string {
		m := map[string]int{}
		for i := range n {
			m["a/b"+strings.Repeat("x", i)] = i
		}
		b, _ := json.Marshal(m)
		return string(b)
	}
	cases := []struct {
		name string
		raw  []byte
		want error // nil: the execution ends well
	}{
		{"good", framed(goodDone), nil},
		{"display", framed(display(`{"a/b":`+deep(62)+`}`), done(`"seq":1`, `"seq":2`)), nil},
		{"32 keys", framed(display(keys(32)), done(`"seq":1`, `"seq":2`)), nil},
		{"junk", []byte("GET / HTTP/1.1\r\n\r\n"), ErrProtocol},
		{"huge length", []byte{0xff, 0xff, 0xff, 0xff}, ErrProtocol},
		{"just too long", binary.BigEndian.AppendUint32(nil, MaxFrame+1), ErrProtocol},
		{"empty frame", framed(""), ErrProtocol},
		{"cut frame", []byte{0, 0, 1, 0, '{'}, ErrLost},
		{"cut length", []byte{0, 0}, ErrLost},
		{"nothing", nil, ErrLost},
		{"not JSON", framed("{]"), ErrProtocol},
		{"not an object", framed("[]"), ErrProtocol},
		{"null", framed("null"), ErrProtocol},
		{"two values", framed(goodDone + goodDone), ErrProtocol},
		{"trailing junk", framed(goodDone + "x"), ErrProtocol},
		{"invalid UTF-8", framed("{\"seq\":1,\"type\":\"stdout\",\"text\":\"\xff\"}"), ErrProtocol},
		{"lone surrogate", framed(`{"seq":1,"type":"stdout","text":"\ud800"}`), ErrProtocol},
		{"lone low surrogate", framed(`{"seq":1,"type":"stdout","text":"\uDC00"}`), ErrProtocol},
		{"half a pair", framed(`{"seq":1,"type":"stdout","text":"\ud800\u0041"}`), ErrProtocol},
		{"unknown type", framed(`{"seq":1,"type":"shutdown"}`), ErrProtocol},
		{"hello again", framed(goodHello), ErrProtocol},
		{"no type", framed(`{"seq":1}`), ErrProtocol},
		{"unknown field", framed(`{"seq":1,"type":"stdout","text":"","x":1}`), ErrProtocol},
		{"foreign field", framed(`{"seq":1,"type":"stdout","text":"","name":"x"}`), ErrProtocol},
		{"missing field", framed(`{"seq":1,"type":"stdout"}`), ErrProtocol},
		{"no seq", framed(`{"type":"stdout","text":"x"}`), ErrProtocol},
		{"seq is text", framed(`{"seq":"1","type":"stdout","text":"x"}`), ErrProtocol},
		{"negative seq", framed(`{"seq":-1,"type":"stdout","text":"x"}`), ErrProtocol},
		{"seq skips", framed(`{"seq":2,"type":"stdout","text":"x"}`), ErrProtocol},
		{"seq repeats", framed(`{"seq":1,"type":"stdout","text":"x"}`, goodDone), ErrProtocol},
		{"text is a number", framed(`{"seq":1,"type":"stdout","text":1}`), ErrProtocol},
		{"another id", framed(done(`"id":1`, `"id":2`)), ErrProtocol},
		{"a verdict for an execution", framed(`{"seq":1,"type":"verdict","id":1,"status":"passed","message":""}`), ErrProtocol},
		{"unknown status", framed(done(`"ok"`, `"great"`)), ErrProtocol},
		{"unknown source", framed(done(`"none"`, `"heaven"`)), ErrProtocol},
		{"result without saying so", framed(done(`"result_json"`, `"result":1,"result_json"`)), ErrProtocol},
		{"result missing", framed(done(`false`, `true`)), ErrProtocol},
		{"result of none", framed(done(`"result_json":false`, `"result":1,"result_json":true`)), ErrProtocol},
		{"infinite number", framed(strings.NewReplacer(`"result_json":false`, `"result":1e999,"result_json":true`, `null`, `""`, `none`, `variable`).Replace(goodDone)), ErrProtocol},
		{"huge integer", framed(strings.NewReplacer(`"result_json":false`, `"result":`+strings.Repeat("9", 400)+`,"result_json":true`, `null`, `""`, `none`, `variable`).Replace(goodDone)), ErrProtocol},
		{"too deep", framed(display(`{"a/b":` + deep(63) + `}`)), ErrProtocol},
		{"very deep", framed(deep(5000)), ErrProtocol},
		{"unbalanced depth", framed(strings.Repeat("[", 1<<20)), ErrProtocol},
		{"33 keys", framed(display(keys(33))), ErrProtocol},
		{"bad key", framed(display(`{"text":1}`)), ErrProtocol},
		{"key with a line end", framed(display(`{"a/b\r\nX: y":1}`)), ErrProtocol},
		{"long key", framed(display(`{"a/` + strings.Repeat("b", 127) + `":1}`)), ErrProtocol},
		{"data is an array", framed(display(`[]`)), ErrProtocol},
		{"data is null", framed(display(`null`)), ErrProtocol},
		{"metadata is an array", framed(`{"seq":1,"type":"display_data","data":{},"metadata":[]}`), ErrProtocol},
		{"long display id", framed(`{"seq":1,"type":"display_data","data":{},"display_id":"` + strings.Repeat("x", 513) + `"}`), ErrProtocol},
		{"traceback of numbers", framed(`{"seq":1,"type":"error","name":"","value":"","traceback":[1]}`), ErrProtocol},
		{"endless traceback", framed(`{"seq":1,"type":"error","name":"","value":"","traceback":[` + strings.Repeat(`"",`, 5000) + `""]}`), ErrProtocol},
		{"long error", framed(`{"seq":1,"type":"error","name":"","value":"` + strings.Repeat("x", 5<<20) + `","traceback":[]}`), ErrProtocol},
		{"long name", framed(`{"seq":1,"type":"error","name":"` + strings.Repeat("x", 2000) + `","value":"","traceback":[]}`), ErrProtocol},
		{"millions of keys", framed(`{"seq":1,"type":"display_data","data":{` + strings.Repeat(`"a/b":0,`, 2<<20) + `"a/c":0}}`), ErrProtocol},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn, err := fake(t, goodHello, c.raw, true)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_, err = conn.Execute(ctx, ExecuteRequest{Code: "1"}, func(Event) {})
			if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %.300v, want %v", err, c.want)
			}
			<-conn.Done() // the peer hung up
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// TestSecondAnswer: after the answer nothing may come.
func TestSecondAnswer(t *testing.T) {
	for _, second := range []string{
		strings.Replace(goodDone, `"seq":1`, `"seq":2`, 1),
		`{"seq":2,"type":"stdout","text":"late"}`,
	} {
		conn, err := fake(t, goodHello, framed(goodDone, second), false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Execute(context.Background(), ExecuteRequest{}, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case <-conn.Done():
		case <-time.After(5 * time.Second):
			t.Fatal("the connection lives on")
		}
		if !errors.Is(conn.Err(), ErrProtocol) {
			t.Errorf("%s: %v", second, conn.Err())
		}
	}
}

func TestHostileHello(t *testing.T) {
	for _, c := range []struct{ name, hello string }{
		{"junk", "hello"},
		{"version", strings.Replace(goodHello, `"protocol":1`, `"protocol":2`, 1)},
		{"type", strings.Replace(goodHello, `"hello"`, `"ack"`, 1)},
		{"unknown field", strings.Replace(goodHello, `"pid"`, `"x":1,"pid"`, 1)},
		{"next before acked", strings.Replace(goodHello, `"acked":0`, `"acked":5`, 1)},
		{"negative id", strings.Replace(goodHello, `"last_id":0`, `"last_id":-1`, 1)},
		{"id that overflows", strings.Replace(goodHello, `"last_id":0`, `"last_id":9223372036854775807`, 1)},
		{"active that never was", strings.Replace(goodHello, `"active":null`, `"active":{"id":1,"type":"execute","seq":0}`, 1)},
		{"active of no kind", strings.Replace(strings.Replace(goodHello, `"active":null`, `"active":{"id":1,"type":"x","seq":0}`, 1), `"last_id":0`, `"last_id":1`, 1)},
		{"long python", strings.Replace(goodHello, "3.11.7", strings.Repeat("3", 100), 1)},
		{"too long", strings.Replace(goodHello, "plain", strings.Repeat("x", maxHello), 1)},
	} {
		if _, err := fake(t, c.hello, nil, true); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := Handshake(ctx, ours); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent peer: %v", err)
	}
}

// TestCloseWhileWriting: who doesn't read a request can't keep Close waiting.
func TestCloseWhileWriting(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		_, _ = theirs.Write(framed(goodHello))
		_, _ = readFrame(bufio.NewReader(theirs), MaxRequest) // resume, and nothing more
	}()
	conn, err := Handshake(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Execute(context.Background(), ExecuteRequest{Code: strings.Repeat("#", 1<<20)}, nil)
		ended <- err
	}()
	time.Sleep(50 * time.Millisecond)
	begun := time.Now()
	_ = conn.Close()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("the request ended with %v", err)
	}
	if took := time.Since(begun); took > 2*closeTimeout {
		t.Errorf("it took %v", took)
	}
}

// TestFrameMemory: memory follows what arrives, not what a length claims.
func TestFrameMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	raw := append(binary.BigEndian.AppendUint32(nil, MaxFrame), make([]byte, 1000)...)
	for range 100 {
		if _, err := readFrame(bufio.NewReader(bytes.NewReader(raw)), MaxFrame); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / 100; per > 2*readStep {
		t.Errorf("%d bytes for a frame of which 1000 came", per)
	}
}

func TestEventContent(t *testing.T) {
	m, err := decode([]byte(`{"seq":1,"type":"display_data","data":{"text/html":"<b>\u00e9\ud83d\ude00","a/b":{"x":[1.50]}},"metadata":{"k":1},"display_id":"d"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Event{
		Type: TypeDisplay, DisplayID: "d", Metadata: json.RawMessage(`{"k":1}`),
		Data: map[string]any{"text/html": "<b>é😀", "a/b": json.RawMessage(`{"x":[1.50]}`)},
	}
	got := m.event()
	if diff := cmp.Diff(want, Event{Type: got.Type, DisplayID: got.DisplayID, Metadata: got.Metadata, Data: got.Data}); diff != "" {
		t.Error(diff)
	}
}

func TestWriteTo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "kernel")
	for range 2 {
		if err := WriteTo(dir); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o644 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
		names += e.Name() + " "
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if !strings.Contains(names, "__main__.py") || strings.Contains(names, "pycache") {
		t.Error(names)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(framed(goodHello, goodDone))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 0, 0, 5, 'a'})
	f.Fuzz(func(t *testing.T, raw []byte) {
		const limit = 1 << 16
		r := bufio.NewReader(bytes.NewReader(raw))
		var again []byte
		for {
			body, err := readFrame(r, limit)
			if err != nil {
				break
			}
			if len(body) > limit || cap(body) > limit {
				t.Fatalf("a frame of %d bytes", len(body))
			}
			again = appendFrame(again, body)
		}
		if !bytes.HasPrefix(raw, again) {
			t.Fatal("the frames are not what was sent")
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(goodDone))
	f.Add([]byte(`{"seq":1,"type":"display_data","data":{"a/b":[1e5,{"x":null}],"text/html":"\u00e9\ud83d\ude00"},"metadata":{}}`))
	f.Add([]byte(`{"seq":2,"type":"error","name":"E","value":"v","traceback":["a","b"]}`))
	f.Add([]byte(`{"seq":3,"type":"verdict","id":1,"status":"passed","message":""}`))
	f.Add([]byte(`{"seq":4,"type":"stderr","text":"\\\"\n"}`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := decode(frame)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Fatalf("not a protocol error: %v", err)
			}
			return
		}
		e := m.event()
		if len(e.Data) > maxMIMEKeys || len(e.Traceback) > maxLines {
			t.Fatal("more than allowed")
		}
		// What was let pass can be sent on, and read by a strict client.
		out, err := json.Marshal(struct {
			E Event
			R json.RawMessage
		}{e, m.Result})
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(out, &v); err != nil {
			t.Fatal(err)
		}
		if err := scan(m.Result); err != nil {
			t.Fatal(err)
		}
	})
}
