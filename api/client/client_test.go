package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "tcid/api/v1"
)

// seen is what a request looked like at the daemon.
type seen struct {
	Method, URI, Auth, ContentType, IfNoneMatch, Body string
	Keyed                                             bool // has an Idempotency-Key
}

// recorder answers every request with one status and body.
type recorder struct {
	status int
	header http.Header
	body   string
	last   seen
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	rec.last = seen{r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), r.Header.Get("If-None-Match"), string(body), r.Header.Get("Idempotency-Key") != ""}
	for k, v := range rec.header {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.status)
	_, _ = io.WriteString(w, rec.body)
}

func overTCP(t *testing.T, h http.Handler) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c := New(Options{URL: s.URL + "/", Key: "key-of-the-test"})
	t.Cleanup(c.Close)
	return c
}

func overUnix(t *testing.T, h http.Handler) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	t.Cleanup(s.Close)
	c := New(Options{Socket: socket})
	t.Cleanup(c.Close)
	return c
}

// Every method sends what the API wants, over both transports.
func TestRequests(t *testing.T) {
	ctx := t.Context()
	seconds, stdin := 2.5, ""
	for _, c := range []struct {
		name string
		call func(*Client) error
		want seen
	}{
		{"create", func(c *Client) error {
			_, err := c.CreateSession(ctx, v1.SessionSpec{TTL: &seconds, Metadata: map[string]string{"a": "b"}})
			return err
		}, seen{Method: "POST", URI: "/v1/sessions", Body: `{"ttl":2.5,"metadata":{"a":"b"}}`}},
		{"get", func(c *Client) error { _, err := c.GetSession(ctx, "ses_a/../b?"); return err },
			seen{Method: "GET", URI: "/v1/sessions/ses_a%2F..%2Fb%3F"}},
		{"list", func(c *Client) error {
			_, err := c.ListSessions(ctx, ListOptions{State: "busy", Limit: 3, After: "x&y", Metadata: map[string]string{"k 1": "v=1"}})
			return err
		}, seen{Method: "GET", URI: "/v1/sessions?after=x%26y&limit=3&metadata.k+1=v%3D1&state=busy"}},
		{"patch", func(c *Client) error {
			_, err := c.PatchSession(ctx, "s", v1.SessionPatch{IdleTimeout: &seconds})
			return err
		}, seen{Method: "PATCH", URI: "/v1/sessions/s", Body: `{"idle_timeout":2.5}`}},
		{"close", func(c *Client) error { return c.CloseSession(ctx, "s") }, seen{Method: "DELETE", URI: "/v1/sessions/s"}},
		{"close by label", func(c *Client) error {
			_, err := c.CloseSessions(ctx, map[string]string{"job": "7"})
			return err
		}, seen{Method: "DELETE", URI: "/v1/sessions?metadata.job=7"}},
		{"interrupt", func(c *Client) error { _, err := c.Interrupt(ctx, "s"); return err },
			seen{Method: "POST", URI: "/v1/sessions/s/interrupt"}},
		{"restart", func(c *Client) error { _, err := c.Restart(ctx, "s"); return err },
			seen{Method: "POST", URI: "/v1/sessions/s/restart"}},
		{"execute", func(c *Client) error {
			_, err := c.Execute(ctx, "s", v1.ExecSpec{Code: "1 < 2", Timeout: &seconds, Stdin: &stdin})
			return err
		}, seen{Method: "POST", URI: "/v1/sessions/s/executions", Body: `{"code":"1 \u003c 2","timeout":2.5,"stdin":""}`}},
		{"executions", func(c *Client) error { _, err := c.ListExecutions(ctx, "s"); return err },
			seen{Method: "GET", URI: "/v1/sessions/s/executions"}},
		{"execution", func(c *Client) error { _, err := c.GetExecution(ctx, "e"); return err },
			seen{Method: "GET", URI: "/v1/executions/e"}},
		{"cancel", func(c *Client) error { _, err := c.Cancel(ctx, "e"); return err },
			seen{Method: "POST", URI: "/v1/executions/e/cancel"}},
		{"once", func(c *Client) error {
			_, err := c.RunOnce(ctx, v1.OneShot{ExecSpec: v1.ExecSpec{Code: "1"}, Session: &v1.SessionSpec{Image: "i"}})
			return err
		}, seen{Method: "POST", URI: "/v1/executions", Body: `{"code":"1","session":{"image":"i"}}`}},
		{"start", func(c *Client) error { _, err := c.Start(ctx, "s", v1.ExecSpec{Code: "1", Stream: true}); return err },
			seen{Method: "POST", URI: "/v1/sessions/s/executions", Body: `{"code":"1","detach":true}`}},
		{"start once", func(c *Client) error {
			_, err := c.StartOnce(ctx, v1.OneShot{ExecSpec: v1.ExecSpec{Code: "1"}})
			return err
		}, seen{Method: "POST", URI: "/v1/executions", Body: `{"code":"1","detach":true}`}},
		{"complete", func(c *Client) error {
			_, err := c.Complete(ctx, "s", v1.CompleteSpec{Code: "im"})
			return err
		}, seen{Method: "POST", URI: "/v1/sessions/s/complete", Body: `{"code":"im"}`}},
		{"is complete", func(c *Client) error { _, err := c.IsComplete(ctx, "s", "if x:"); return err },
			seen{Method: "POST", URI: "/v1/sessions/s/is_complete", Body: `{"code":"if x:"}`}},
		{"upload", func(c *Client) error {
			_, err := c.Upload(ctx, "s", "a b/ü?#%.txt", strings.NewReader("text"), UploadOptions{Mode: 0o640, NoOverwrite: true})
			return err
		}, seen{Method: "PUT", URI: "/v1/sessions/s/files/a%20b/%C3%BC%3F%23%25.txt?mode=0640", ContentType: "application/octet-stream", IfNoneMatch: "*", Body: "text"}},
		{"download", func(c *Client) error {
			body, err := c.Download(ctx, "s", "/../x/.")
			if err == nil {
				err = body.Close()
			}
			return err
		}, seen{Method: "GET", URI: "/v1/sessions/s/files/%2F%2E%2E/x/%2E"}},
		{"delete", func(c *Client) error { return c.DeleteFile(ctx, "s", "d", true) },
			seen{Method: "DELETE", URI: "/v1/sessions/s/files/d?recursive=true"}},
		{"files", func(c *Client) error { _, err := c.ListFiles(ctx, "s", "d/e", true); return err },
			seen{Method: "GET", URI: "/v1/sessions/s/files?path=d%2Fe&recursive=true"}},
		{"images", func(c *Client) error { _, err := c.Images(ctx); return err }, seen{Method: "GET", URI: "/v1/images"}},
		{"version", func(c *Client) error { _, err := c.Version(ctx); return err }, seen{Method: "GET", URI: "/v1/version"}},
		{"health", func(c *Client) error { _, err := c.Health(ctx); return err }, seen{Method: "GET", URI: "/healthz"}},
		{"ready", func(c *Client) error { _, err := c.Ready(ctx); return err }, seen{Method: "GET", URI: "/readyz"}},
	} {
		if strings.HasPrefix(c.want.Body, "{") {
			c.want.ContentType = "application/json"
		}
		c.want.Keyed = slices.Contains([]string{"create", "restart", "execute", "once", "start", "start once"}, c.name)
		t.Run(c.name, func(t *testing.T) {
			rec := &recorder{status: 200, body: "{}\n"}
			if err := c.call(overUnix(t, rec)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, rec.last); diff != "" {
				t.Errorf("over the Unix socket (-want +got):\n%s", diff)
			}
			if err := c.call(overTCP(t, rec)); err != nil {
				t.Fatal(err)
			}
			c.want.Auth = "Bearer key-of-the-test"
			if diff := cmp.Diff(c.want, rec.last); diff != "" {
				t.Errorf("over TCP (-want +got):\n%s", diff)
			}
		})
	}
}

// White space comes first when an execution takes long.
func TestHeartbeat(t *testing.T) {
	c := overTCP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 5 {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
		}
		_ = json.NewEncoder(w).Encode(v1.Execution{ID: "exe_1", Status: v1.StatusOK, Result: json.RawMessage("[1]")})
	}))
	e, err := c.Execute(t.Context(), "s", v1.ExecSpec{})
	if err != nil || e.ID != "exe_1" || string(e.Result) != "[1]" {
		t.Errorf("got %+v, %v", e, err)
	}
}

// Long answers come in chunks, whose end the decoder doesn't read.
func TestConnectionIsUsedAgain(t *testing.T) {
	var connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(v1.Execution{Stdout: strings.Repeat("x", 100_000)})
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := New(Options{URL: s.URL})
	defer c.Close()
	for range 10 {
		if _, err := c.GetExecution(t.Context(), "e"); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 10 calls, one after the other", n)
	}
}

func TestSessionsGoesThroughPages(t *testing.T) {
	var asked []string
	c := overTCP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after := r.URL.Query().Get("after")
		asked = append(asked, after)
		next := map[string]string{"": "b", "b": "d"}[after]
		page := v1.SessionList{Data: []v1.Session{{ID: after + "1"}, {ID: after + "2"}}}
		if next != "" {
			page.Next = &next
		}
		_ = json.NewEncoder(w).Encode(page)
	}))
	all, err := c.AllSessions(t.Context(), ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	if diff := cmp.Diff([]string{"1", "2", "b1", "b2", "d1", "d2"}, ids); diff != "" {
		t.Error(diff)
	}
	asked = nil
	for s, err := range c.Sessions(t.Context(), ListOptions{}) {
		if err != nil || s.ID == "b1" {
			break
		}
	}
	if diff := cmp.Diff([]string{"", "b"}, asked); diff != "" {
		t.Errorf("a loop that ended early asked for other pages (-want +got):\n%s", diff)
	}
}

// A daemon that is out of its mind must not keep a program for ever.
func TestSessionsOfAPageThatNamesItself(t *testing.T) {
	c := overTCP(t, &recorder{status: 200, body: `{"data":[],"next":"same"}`})
	if _, err := c.AllSessions(t.Context(), ListOptions{}); err == nil || !strings.Contains(err.Error(), "same page") {
		t.Errorf("got %v", err)
	}
}

func TestContent(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := overUnix(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1-2"`)
		http.ServeContent(w, r, "", at, strings.NewReader("content"))
	}))
	got, err := c.Download(t.Context(), "s", "f")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	text, err := io.ReadAll(got)
	if string(text) != "content" || err != nil || got.Size != 7 || !got.ModifiedAt.Equal(at) || got.ETag != `"1-2"` {
		t.Errorf("got %q, %v, %+v", text, err, got)
	}
}

// A download that is cut off ends with an error, never as a shorter file.
func TestDownloadThatIsCutOff(t *testing.T) {
	c := overTCP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	got, err := c.Download(t.Context(), "s", "f")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if _, err := io.ReadAll(got); err == nil {
		t.Error("half a file was taken for a whole one")
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	begun, gone := make(chan struct{}), make(chan struct{})
	c := overUnix(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The header has been sent, as after a heartbeat.
		_, _ = io.WriteString(w, " ")
		_ = http.NewResponseController(w).Flush()
		close(begun)
		<-r.Context().Done()
		close(gone)
	}))
	why := errors.New("the user had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-begun
		cancel(why)
	}()
	if _, err := c.Execute(ctx, "s", v1.ExecSpec{Code: "1"}); !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the daemon did not learn that nobody waits any more")
	}
}

func TestValidate(t *testing.T) {
	for _, o := range []Options{
		{}, {Socket: "/s"}, {URL: "http://127.0.0.1:8787"}, {URL: "https://h/"}, {URL: "http://[::1]:1"},
	} {
		if err := o.Validate(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for want, o := range map[string]Options{
		"two daemons":       {Socket: "/s", URL: "http://h"},
		`"127.0.0.1:8787"`:  {URL: "127.0.0.1:8787"},
		`"unix:///run/s"`:   {URL: "unix:///run/s"},
		`"http://"`:         {URL: "http://"},
		`"http://a b"`:      {URL: "http://a b"},
		`http://127.0.0.1:`: {URL: "localhost"},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want it to name %s", o, err, want)
		}
	}
}

// Whatever a file is called, the path reaches the server as one that it does
// not shorten, and names the same file there.
func FuzzFilePath(f *testing.F) {
	for _, name := range []string{"a", "/a", "a b/c", "../x", "./.", "a%2Fb", "ü", "?#", "a/./b", ".../x", "\x00\xff"} {
		f.Add(name)
	}
	c := New(Options{})
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || strings.Contains(name, "//") || strings.HasSuffix(name, "/") {
			t.Skip("no file has such a name")
		}
		var got string
		mux := http.NewServeMux()
		mux.HandleFunc("GET /v1/sessions/{id}/files/{path...}", func(_ http.ResponseWriter, r *http.Request) { got = r.PathValue("path") })
		r, err := http.NewRequest(http.MethodGet, "http://tcid"+c.filePath("s", name), nil)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if got != name || w.Code != http.StatusOK {
			t.Errorf("%q arrives as %q, status %d, by %s", name, got, w.Code, r.URL)
		}
	})
}
