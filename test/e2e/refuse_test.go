package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tcid/api/client"
	v1 "tcid/api/v1"
	"tcid/test/contract"
)

// apiError expects a refusal with a code.
func apiError(t *testing.T, err error, status int, code string) {
	t.Helper()
	var e *client.Error
	if !errors.As(err, &e) || e.Status != status || e.Code != code {
		t.Errorf("error %v (%+v), want status %d, code %s", err, e, status, code)
		return
	}
	if e.Message == "" || e.RequestID == "" {
		t.Errorf("the refusal says nothing: %+v", e)
	}
}

// badContext marks requests that are wrong on purpose.
func badContext(t *testing.T) context.Context { return contract.Bad(callContext(t)) }

// http is a client over the Unix socket, without our own client's care.
func (d *daemon) http() *http.Client {
	return &http.Client{Transport: d.contract.RoundTripper(&http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.state, "tcid.sock"))
		},
	})}
}

// raw sends a request of any shape.
func (d *daemon) raw(t *testing.T, method, path, contentType, body string) (int, v1.Error) {
	t.Helper()
	c := d.http()
	req, err := http.NewRequestWithContext(badContext(t), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer v1.ErrorBody
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= 400 {
		if err := json.Unmarshal(b, &answer); err != nil {
			t.Errorf("%s %s: the error is not JSON: %.200s", method, path, b)
		}
	}
	return resp.StatusCode, answer.Error
}

// Every mistake gets an answer that says what is wrong, and hurts nobody.
func TestMistakesInRequests(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	neighbour := d.create(t, v1.SessionSpec{})
	in := "/v1/sessions/" + s.ID
	const js = "application/json"
	for _, c := range []struct {
		name, method, path, kind, body string
		status                         int
		code, param                    string
	}{
		{"unknown session", "GET", "/v1/sessions/ses_nope", "", "", 404, "session_not_found", ""},
		{"code in an unknown session", "POST", "/v1/sessions/ses_nope/executions", js, `{"code":"1"}`, 404, "session_not_found", ""},
		{"files of an unknown session", "PUT", "/v1/sessions/ses_nope/files/x", "", "x", 404, "session_not_found", ""},
		{"close an unknown session", "DELETE", "/v1/sessions/ses_nope", "", "", 404, "session_not_found", ""},
		{"unknown execution", "GET", "/v1/executions/exe_nope", "", "", 404, "execution_not_found", ""},
		{"unknown image", "POST", "/v1/sessions", js, `{"image":"nope"}`, 404, "image_not_found", "image"},
		{"path not in its shortest form", "GET", "/v1//sessions", "", "", 404, "not_found", ""},
		{"dots in a path", "POST", "/v1/x/../sessions", js, `{}`, 404, "not_found", ""},
		{"unknown route", "GET", "/v2/sessions", "", "", 404, "not_found", ""},
		{"wrong method", "PUT", "/v1/sessions", js, `{}`, 405, "method_not_allowed", ""},
		{"no JSON", "POST", in + "/executions", js, `{"code":`, 400, "invalid_json", ""},
		{"no object", "POST", in + "/executions", js, `["code"]`, 400, "invalid_json", ""},
		{"two objects", "POST", in + "/executions", js, `{"code":"1"}{}`, 400, "invalid_json", ""},
		{"empty body", "POST", in + "/executions", js, ``, 400, "invalid_json", ""},
		{"not declared as JSON", "POST", in + "/executions", "text/plain", `{"code":"1"}`, 415, "unsupported_media_type", ""},
		{"form", "POST", in + "/executions", "application/x-www-form-urlencoded", `code=1`, 415, "unsupported_media_type", ""},
		{"unknown field", "POST", in + "/executions", js, `{"code":"1","tmeout":5}`, 400, "unknown_field", "tmeout"},
		{"no code", "POST", in + "/executions", js, `{"timeout":5}`, 400, "missing_field", "code"},
		{"code is a number", "POST", in + "/executions", js, `{"code":1}`, 400, "invalid_value", "code"},
		{"negative timeout", "POST", in + "/executions", js, `{"code":"1","timeout":-1}`, 400, "invalid_value", "timeout"},
		{"endless timeout", "POST", in + "/executions", js, `{"code":"1","timeout":1e300}`, 400, "invalid_value", "timeout"},
		{"long timeout", "POST", in + "/executions", js, `{"code":"1","timeout":1e6}`, 400, "invalid_value", "timeout"},
		{"long code", "POST", in + "/executions", js, `{"code":"` + strings.Repeat("#", 1<<20+1) + `"}`, 400, "invalid_value", "code"},
		{"unknown test", "POST", in + "/executions", js, `{"code":"1","tests":[{"type":"pytest","condition":"1"}]}`, 400, "invalid_value", "tests"},
		{"bad file", "POST", in + "/executions", js, `{"code":"1","files":[{"name":"x","encoding":"utf8","content":""}]}`, 400, "invalid_file", "files"},
		{"bad base64", "POST", in + "/executions", js, `{"code":"1","files":[{"name":"x","encoding":"base64","content":"?"}]}`, 400, "invalid_file", "files"},
		{"file outside", "POST", in + "/executions", js, `{"code":"1","files":[{"name":"../x","encoding":"string","content":""}]}`, 400, "invalid_value", "files"},
		{"ruby", "POST", "/v1/sessions", js, `{"language":"ruby"}`, 400, "unsupported_language", "language"},
		{"isolation", "POST", "/v1/sessions", js, `{"isolation":"vm"}`, 400, "unsupported", "isolation"},
		{"network", "POST", "/v1/sessions", js, `{"network":{"mode":"full"}}`, 400, "unsupported", "network.mode"},
		{"cwd that isn't there", "POST", "/v1/sessions", js, `{"cwd":"nope"}`, 400, "invalid_value", "cwd"},
		{"no memory", "POST", "/v1/sessions", js, `{"resources":{"memory_mb":1}}`, 400, "invalid_value", "resources.memory_mb"},
		{"all the CPUs", "POST", "/v1/sessions", js, `{"resources":{"cpus":4096}}`, 400, "invalid_value", "resources.cpus"},
		{"negative ttl", "POST", "/v1/sessions", js, `{"ttl":-5}`, 400, "invalid_value", "ttl"},
		{"close all", "DELETE", "/v1/sessions", "", "", 400, "missing_field", "metadata"},
		{"bad page", "GET", "/v1/sessions?limit=0", "", "", 400, "invalid_value", "limit"},
		{"unknown query", "GET", "/v1/sessions?limitt=1", "", "", 400, "unknown_field", "limitt"},
		{"parent directory", "PUT", in + "/files/%2e%2e/x", "", "x", 400, "invalid_path", "path"},
		{"parent directory below", "PUT", in + "/files/a/%2e%2e/%2e%2e/x", "", "x", 400, "invalid_path", "path"},
		{"NUL", "GET", in + "/files/a%00b", "", "", 400, "invalid_path", "path"},
		{"missing file", "GET", in + "/files/nope", "", "", 404, "file_not_found", "path"},
		{"bad mode", "PUT", in + "/files/x?mode=9", "", "x", 400, "invalid_value", "mode"},
		{"set-uid mode", "PUT", in + "/files/x?mode=4755", "", "x", 400, "invalid_value", "mode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, e := d.raw(t, c.method, c.path, c.kind, c.body)
			param := ""
			if e.Param != nil {
				param = *e.Param
			}
			if status != c.status || e.Code == nil || *e.Code != c.code || param != c.param {
				t.Errorf("status %d, %+v (param %q), want %d, %s, %q", status, e, param, c.status, c.code, c.param)
			}
			if e.Message == "" {
				t.Error("there is no message")
			}
		})
	}
	t.Run("oversized body", func(t *testing.T) {
		status, e := d.raw(t, "POST", in+"/executions", js, `{"code":"`+strings.Repeat(" ", 65<<20)+`"}`)
		if status != 413 || *e.Code != "body_too_large" {
			t.Errorf("status %d, %+v", status, e)
		}
	})
	for _, id := range []string{s.ID, neighbour.ID} {
		if e := d.run(t, id, "1 + 1"); string(e.Result) != "2" {
			t.Errorf("afterwards, 1 + 1 = %s", e.Result)
		}
	}
}

// Links that user code plants lead the daemon nowhere.
func TestPlantedLinks(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	d.run(t, s.ID, `
import os
os.symlink("/etc/passwd", "passwd")
os.symlink("/proc/1/root", "root")
os.symlink("..", "up")
os.mkfifo("fifo")
os.mkdir("dir")
open("plain", "w").write("plain")`)
	for name, code := range map[string]string{
		"passwd": "invalid_path", "root/etc/passwd": "invalid_path", "up/etc/passwd": "invalid_path",
		"fifo": "not_a_regular_file", "dir": "is_directory",
	} {
		_, err := d.Download(badContext(t), s.ID, name)
		var e *client.Error
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("download of %s: %v, want %s", name, err, code)
		}
	}
	for _, name := range []string{"root/tmp/x", "up/x", "passwd"} {
		_, err := d.Upload(badContext(t), s.ID, name, strings.NewReader("x"), client.UploadOptions{})
		apiError(t, err, 400, "invalid_path")
	}
	if e := d.run(t, s.ID, "os.readlink('passwd'), open('/etc/passwd').read().count('root')"); *e.ResultRepr != "('/etc/passwd', 3)" {
		t.Errorf("afterwards: %s", *e.ResultRepr)
	}
	if _, err := d.Upload(callContext(t), s.ID, "plain", strings.NewReader("x"), client.UploadOptions{NoOverwrite: true}); err == nil {
		t.Error("a file was replaced although that was forbidden")
	} else {
		apiError(t, err, 412, "file_exists")
	}
	list, err := d.ListFiles(callContext(t), s.ID, "", true)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, f := range list.Data {
		types[f.Path] = f.Type
	}
	if types["fifo"] != "other" || types["root"] != "symlink" || types["dir"] != "directory" || types["plain"] != "file" {
		t.Errorf("listed: %v", types)
	}
}

// Programs that go too far end with a clear answer; their session, their
// neighbours and the daemon go on.
func TestProgramsThatGoTooFar(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	neighbour := d.create(t, v1.SessionSpec{})
	d.run(t, neighbour.ID, "mine = 41")
	second := 1.0
	const big = 100 << 20
	for _, c := range []struct {
		name, code string
		timeout    *float64
		status     string
		check      func(t *testing.T, e v1.Execution)
	}{
		{"syntax error", "def f(:\n  pass", nil, v1.StatusError, func(t *testing.T, e v1.Execution) {
			if e.Error.Name != "SyntaxError" || !strings.Contains(e.Stderr+strings.Join(e.Error.Traceback, "\n"), "^") {
				t.Errorf("error = %+v", e.Error)
			}
		}},
		{"100 MB of output", fmt.Sprintf("import sys\nprint('begin')\nfor _ in range(%d): sys.stdout.write('x' * 1023 + '\\n')\nprint('end')", big>>10), nil,
			v1.StatusOK, func(t *testing.T, e v1.Execution) {
				if len(e.Stdout) > 9<<20 || e.Truncated.StdoutBytes < 90<<20 || !strings.HasPrefix(e.Stdout, "begin\n") ||
					!strings.HasSuffix(e.Stdout, "end\n") || !strings.Contains(e.Stdout, "dropped") {
					t.Errorf("%d bytes are kept, %d dropped", len(e.Stdout), e.Truncated.StdoutBytes)
				}
				if e.Receipt.OutputBytes < big || fmt.Sprint(e.Receipt.LimitsHit) != "[output]" {
					t.Errorf("receipt = %+v", e.Receipt)
				}
			}},
		{"endless loop", "while True: pass", &second, v1.StatusTimeout, func(t *testing.T, e v1.Execution) {
			if e.StateLost || !strings.Contains(e.Error.Value, "1 seconds") {
				t.Errorf("error = %+v, state lost %v", e.Error, e.StateLost)
			}
		}},
		{"deaf loop", "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", &second, v1.StatusTimeout, func(t *testing.T, e v1.Execution) {
			if !e.StateLost {
				t.Error("the kernel was killed, but the state is said to be there")
			}
		}},
		{"os._exit", "import os; os._exit(1)", nil, v1.StatusCrashed, func(t *testing.T, e v1.Execution) {
			if !strings.Contains(e.Error.Value, "exit code 1") || !e.StateLost {
				t.Errorf("error = %+v", e.Error)
			}
		}},
		{"closed descriptors", "import os; os.closerange(3, 64)", nil, v1.StatusCrashed, nil},
		{"junk on every descriptor", "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'\\0\\0\\0\\5hello' * 50)\n    except OSError: pass\nimport time; time.sleep(5)", nil,
			v1.StatusCrashed, func(t *testing.T, e v1.Execution) {
				if !strings.Contains(e.Error.Value, "broke the protocol") {
					t.Errorf("error = %+v", e.Error)
				}
			}},
		{"a child that holds the connection", "import os, time\nif os.fork() == 0: time.sleep(100)\nos._exit(7)", nil, v1.StatusCrashed, func(t *testing.T, e v1.Execution) {
			if !strings.Contains(e.Error.Value, "exit code 7") || e.Receipt.WallMS > 5000 {
				t.Errorf("after %v ms: %+v", e.Receipt.WallMS, e.Error)
			}
		}},
		{"segmentation fault", "import ctypes; ctypes.string_at(0)", nil, v1.StatusCrashed, func(t *testing.T, e v1.Execution) {
			if !strings.Contains(e.Error.Value, "SIGSEGV") {
				t.Errorf("error = %+v", e.Error)
			}
		}},
		{"3 GiB of memory", "x = bytearray(3 << 30)", nil, v1.StatusMemoryLimit, func(t *testing.T, e v1.Execution) {
			if !strings.Contains(e.Error.Value, "1024 MiB") || !e.StateLost || fmt.Sprint(e.Receipt.LimitsHit) != "[memory]" {
				t.Errorf("error = %+v, receipt %+v", e.Error, e.Receipt)
			}
		}},
		{"3 GiB in a file", "f = open('big', 'wb')\nfor _ in range(3 << 10): f.write(bytes(1 << 20))", nil, v1.StatusError, func(t *testing.T, e v1.Execution) {
			if e.Error.Name != "OSError" {
				t.Errorf("error = %+v", e.Error)
			}
		}},
		{"fork bomb", "import os, time\nfor _ in range(10000):\n    try:\n        if os.fork() == 0: time.sleep(100)\n    except OSError: break\nelse: raise SystemError\n", nil, v1.StatusOK,
			func(t *testing.T, e v1.Execution) {
				if fmt.Sprint(e.Receipt.LimitsHit) != "[pids]" {
					t.Errorf("receipt = %+v", e.Receipt)
				}
			}},
		{"many descriptors", "import os\nfds = []\ntry:\n    while True: fds.append(os.dup(0))\nexcept OSError: pass\n[os.close(f) for f in fds]; len(fds) < 1024", nil, v1.StatusOK, nil},
		{"zombies", "import os\nfor _ in range(2000):\n    if os.fork() == 0: os._exit(0)\n    os.wait()", nil, v1.StatusOK, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := d.create(t, v1.SessionSpec{})
			d.run(t, s.ID, "open('kept', 'w').write('kept')")
			done := make(chan struct{})
			var slowest time.Duration
			go func() { // the neighbour notices nothing
				defer close(done)
				for range 5 {
					begun := time.Now()
					if e, err := d.Execute(callContext(t), neighbour.ID, v1.ExecSpec{Code: "mine + 1"}); err != nil || string(e.Result) != "42" {
						t.Errorf("the neighbour: %v %+v", err, e)
					}
					slowest = max(slowest, time.Since(begun))
					time.Sleep(50 * time.Millisecond)
				}
			}()
			e := d.exec(t, s.ID, v1.ExecSpec{Code: c.code, Timeout: c.timeout}, c.status)
			if c.check != nil {
				c.check(t, e)
			}
			<-done
			t.Logf("the neighbour waited at most %v", slowest.Round(time.Millisecond))
			if e := d.run(t, s.ID, "open('kept').read()"); string(e.Result) != `"kept"` {
				t.Errorf("afterwards, the file holds %s", e.Result)
			}
			if err := d.CloseSession(callContext(t), s.ID); err != nil {
				t.Error(err)
			}
		})
	}
	t.Logf("the daemon is %d KiB resident afterwards", residentKiB(t, d.cmd.Process.Pid))
}

// TCP needs a key, and answers no web page.
func TestTCP(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("alice 0123456789abcdef\nbob fedcba9876543210\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	d := start(t, "--listen", "127.0.0.1:"+port, "--key-file", keys, "--allow-host", "box.example")
	url := "http://127.0.0.1:" + port
	with := func(key string) *client.Client {
		c := client.New(client.Options{URL: url, Key: key, Retries: -1, Wrap: d.contract.RoundTripper})
		t.Cleanup(c.Close)
		return c
	}
	alice, bob := with("0123456789abcdef"), with("fedcba9876543210")
	s, err := alice.CreateSession(callContext(t), v1.SessionSpec{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := alice.Execute(callContext(t), s.ID, v1.ExecSpec{Code: "6 * 7"})
	if err != nil || string(e.Result) != "42" {
		t.Errorf("alice gets %s, %v", e.Result, err)
	}
	for _, err := range []error{
		func() error { _, err := bob.GetSession(callContext(t), s.ID); return err }(),
		func() error { _, err := bob.Execute(callContext(t), s.ID, v1.ExecSpec{Code: "1"}); return err }(),
		func() error { _, err := bob.ListFiles(callContext(t), s.ID, "", false); return err }(),
		bob.CloseSession(callContext(t), s.ID),
	} {
		apiError(t, err, 404, "session_not_found")
	}
	_, err = bob.GetExecution(callContext(t), e.ID)
	apiError(t, err, 404, "execution_not_found")
	if l, err := bob.ListSessions(callContext(t), client.ListOptions{}); err != nil || len(l.Data) != 0 {
		t.Errorf("bob sees %d sessions, %v", len(l.Data), err)
	}
	if l, err := d.ListSessions(callContext(t), client.ListOptions{}); err != nil || len(l.Data) != 1 {
		t.Errorf("root sees %d sessions, %v", len(l.Data), err)
	}
	for _, key := range []string{"", "wrong", "0123456789abcdeF"} {
		_, err := with(key).Version(callContext(t))
		apiError(t, err, 401, "invalid_api_key")
	}
	if _, err := with("").Health(callContext(t)); err != nil {
		t.Errorf("/healthz needs a key: %v", err)
	}
	for name, c := range map[string]struct {
		host, origin string
		status       int
	}{
		"ours": {"", "", 200}, "loopback by name": {"localhost:" + port, "", 200}, "allowed": {"box.example", "", 200},
		"rebound": {"evil.example", "", 421}, "page": {"", "http://evil.example", 403}, "page on loopback": {"", "http://localhost:3000", 403},
		"allowed page": {"", "https://box.example", 200},
	} {
		req, _ := http.NewRequestWithContext(callContext(t), http.MethodGet, url+"/v1/version", nil)
		req.Header.Set("Authorization", "Bearer 0123456789abcdef")
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		req.Host = c.host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d", name, resp.StatusCode, c.status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := alice.CloseSession(callContext(t), s.ID); err != nil {
		t.Error(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0") // free on all addresses
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestRangesAndNames(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	content := bytes.Repeat([]byte("0123456789"), 1000)
	for _, name := range []string{"a b.txt", "ü/ñ.bin", "100%.csv", "semi;colon?#", "deep/er/and/deeper", "/workspace/abs", "...", "a%2Fb"} {
		info, err := d.Upload(callContext(t), s.ID, name, bytes.NewReader(content), client.UploadOptions{Mode: 0o750})
		if err != nil || info.Size != int64(len(content)) || info.Mode != "0750" {
			t.Errorf("upload of %q: %+v, %v", name, info, err)
			continue
		}
		body, err := d.Download(callContext(t), s.ID, name)
		if err != nil {
			t.Errorf("download of %q: %v", name, err)
			continue
		}
		got, err := io.ReadAll(body)
		_ = body.Close()
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%q comes back with %d bytes, %v", name, len(got), err)
		}
	}
	e := d.run(t, s.ID, "import os\nst = os.stat('a b.txt')\n[st.st_uid == os.getuid(), oct(st.st_mode), len(open('ü/ñ.bin').read()), os.path.exists('abs')]")
	if string(e.Result) != `[true,"0o100750",10000,true]` {
		t.Errorf("the session sees %s", e.Result)
	}
	if err := d.DeleteFile(callContext(t), s.ID, "deep", false); err == nil {
		t.Error("a directory with something in it was removed")
	}
	if err := d.DeleteFile(callContext(t), s.ID, "deep", true); err != nil {
		t.Error(err)
	}
}
