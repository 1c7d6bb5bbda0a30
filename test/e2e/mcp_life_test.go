package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/api/client"
	v1 "tcid/api/v1"
	"tcid/test/contract"
	"tcid/test/leak"
)

// Who asks for it sees how a call goes on; who cancels it keeps the variables.
func TestMCPProgressAndCancel(t *testing.T) {
	d := start(t)
	for name, way := range mcpWays {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var seen []*sdk.ProgressNotificationParams
			came := make(chan struct{}, 100)
			a := connect(t, way(t, d), &sdk.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, r.Params)
				came <- struct{}{}
			}})
			a.run("s", "x = 41")
			params := &sdk.CallToolParams{Name: "run_python", Arguments: map[string]any{"session": "s", "code": slowCode}}
			params.SetProgressToken("token")
			ctx, cancel := context.WithCancel(callContext(t))
			go func() {
				for range 2 {
					<-came
				}
				cancel()
			}()
			begun := time.Now()
			if _, err := a.CallTool(ctx, params); err == nil {
				t.Fatal("a call that was cancelled has an answer")
			}
			result, r := a.run("s", "x + 1") // waits for the end of the other one
			if string(r.Result) != "42" || r.StateLost || time.Since(begun) > 30*time.Second {
				t.Errorf("after %v: %+v %s", time.Since(begun), r, textOf(result))
			}
			mu.Lock()
			defer mu.Unlock()
			for i, p := range seen {
				if p.ProgressToken != "token" || p.Message == "" || i > 0 && p.Progress <= seen[i-1].Progress {
					t.Errorf("progress %d: %+v", i, p)
				}
			}
			checkProgress(t, seen)
		})
	}
}

const slowCode = "import time\nfor i in range(300):\n    print('step', i)\n    time.sleep(0.1)"

// Twenty clients at once have sessions of the same name, and never meet.
func TestMCPParallelClients(t *testing.T) {
	d := start(t)
	const clients, rounds = 20, 5
	var wait sync.WaitGroup
	for i := range clients {
		way := mcpWays["http"]
		if i%2 == 1 {
			way = mcpWays["stdio"]
		}
		a := connect(t, way(t, d), nil)
		wait.Go(func() {
			ctx := callContext(t)
			call := func(name string, arguments map[string]any) string {
				result, err := a.CallTool(ctx, &sdk.CallToolParams{Name: name, Arguments: arguments})
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return ""
				}
				return textOf(result)
			}
			call("run_python", map[string]any{"code": fmt.Sprintf("seen = [%d]", i)})
			for round := range rounds {
				call("upload_file", map[string]any{"path": "f", "content": fmt.Sprint(i)})
				got := call("run_python", map[string]any{"code": fmt.Sprintf("seen.append(%d); (seen, open('f').read())", i)})
				want := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%d, ", i), round+2), ", ")
				if !strings.Contains(got, fmt.Sprintf("([%s], '%d')", want, i)) {
					t.Errorf("client %d, round %d: %q", i, round, got)
				}
			}
			if got := call("list_sessions", nil); strings.Count(got, "\n") != 1 {
				t.Errorf("client %d sees %q", i, got)
			}
			if err := a.Close(); err != nil {
				t.Errorf("client %d: close: %v", i, err)
			}
		})
	}
	wait.Wait()
	d.awaitSessions(0)
}

// A client that is gone in the middle of a run leaves nothing running.
func TestMCPClientGone(t *testing.T) {
	d := start(t)
	t.Run("stdio", func(t *testing.T) {
		cmd := exec.Command(program, "mcp", "--socket", filepath.Join(d.state, "tcid.sock"))
		a := connect(t, &sdk.CommandTransport{Command: cmd}, nil)
		go func() {
			_, _ = a.CallTool(callContext(t), &sdk.CallToolParams{Name: "run_python", Arguments: map[string]any{"code": slowCode}})
		}()
		d.awaitBusy(t)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		// The code is stopped some seconds later, the session ends with its lease.
		d.awaitIdle(t)
		s := d.only(t)
		if s.IdleTimeout == 0 || s.IdleTimeout > 300 {
			t.Errorf("the session lives on for %v s", s.IdleTimeout)
		}
		if err := d.CloseSession(callContext(t), s.ID); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("stdio closed", func(t *testing.T) {
		cmd := exec.Command(program, "mcp", "--socket", filepath.Join(d.state, "tcid.sock"))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(in, "%s\n%s\n", initialize, runMessage(slowCode))
		d.awaitBusy(t)
		begun := time.Now()
		in.Close()
		if err := cmd.Wait(); err != nil || time.Since(begun) > 10*time.Second {
			t.Errorf("it ended after %v: %v", time.Since(begun), err)
		}
		if n := d.sessionCount(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
	t.Run("http", func(t *testing.T) {
		c := d.unixHTTP(t)
		id := rawConnect(t, c)
		ctx, cancel := context.WithCancel(callContext(t))
		go func() {
			resp, err := c.Do(rawRequest(ctx, t, id, runMessage(slowCode)))
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}()
		d.awaitBusy(t)
		cancel()
		d.awaitIdle(t)
		// The connection is still there, and its variables.
		if got := rawPost(t, c, id, runMessage("i >= 0")); !strings.Contains(got, `"result":true`) {
			t.Errorf("got %s", got)
		}
		r := rawRequest(callContext(t), t, id, "")
		r.Method = http.MethodDelete
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Errorf("DELETE: %s", resp.Status)
		}
		d.awaitSessions(0)
	})
	t.Run("daemon stops", func(t *testing.T) {
		c := d.unixHTTP(t)
		id := rawConnect(t, c)
		rawPost(t, c, id, runMessage("1"))
		begun := time.Now()
		d.stop()
		if took := time.Since(begun); took > 15*time.Second {
			t.Errorf("the daemon took %v to stop", took)
		}
	})
}

// The protocol's edges, as bytes.
func TestMCPOverRawHTTP(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("a key-of-somebody-aaaa\nb key-of-somebody-bbbb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, address, _ := startTCP(t, "--key-file", keys)
	c := d.unixHTTP(t)
	id := rawConnect(t, c)
	for name, x := range map[string]struct {
		id, body string
		header   map[string]string
		status   int
		want     string
	}{
		"no session":       {"", runMessage("1"), nil, 400, "initialize"},
		"unknown session":  {"mcp_none", runMessage("1"), nil, 404, "session_not_found"},
		"not JSON":         {id, "{", nil, 400, "-32700"},
		"batch":            {id, "[]", nil, 400, "batches"},
		"no version":       {id, `{"id":1,"method":"ping"}`, nil, 400, "jsonrpc"},
		"id of null":       {id, `{"jsonrpc":"2.0","id":null,"method":"ping"}`, nil, 400, "string or a number"},
		"id of an object":  {id, `{"jsonrpc":"2.0","id":{},"method":"ping"}`, nil, 400, "string or a number"},
		"neither":          {id, `{"jsonrpc":"2.0","id":1}`, nil, 400, "neither"},
		"notification":     {id, `{"jsonrpc":"2.0","method":"notifications/none"}`, nil, 202, ""},
		"answer":           {id, `{"jsonrpc":"2.0","id":1,"result":{}}`, nil, 202, ""},
		"ping":             {id, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, nil, 200, `"result":{}`},
		"unknown method":   {id, `{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`, nil, 200, "-32601"},
		"unknown tool":     {id, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm"}}`, nil, 200, "-32602"},
		"wrong parameters": {id, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}`, nil, 200, "-32602"},
		"second handshake": {id, initialize, nil, 200, "already"},
		"future version":   {id, `{"jsonrpc":"2.0","id":7,"method":"ping"}`, map[string]string{"Mcp-Protocol-Version": "2099-01-01"}, 400, `"supported":["2025-11-25"`},
		"not JSON's type":  {id, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, map[string]string{"Content-Type": "text/plain"}, 415, "application/json"},
		"too large":        {id, strings.Repeat(" ", 17<<20) + `{"jsonrpc":"2.0","id":1,"method":"ping"}`, nil, 413, "body_too_large"},
		"deep":             {id, `{"jsonrpc":"2.0","id":1,"method":"ping","params":` + strings.Repeat("[", 100_000), nil, 400, "error"},
		"plain answer":     {id, runMessage("6*7"), map[string]string{"Accept": "application/json"}, 200, `"result":42`},
	} {
		t.Run(name, func(t *testing.T) {
			r := rawRequest(callContext(t), t, x.id, x.body)
			for k, v := range x.header {
				r.Header.Set(k, v)
			}
			resp, err := (&http.Client{Transport: bare(c)}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != x.status || !strings.Contains(string(body), x.want) {
				t.Errorf("%s, %v: %s; want %d and %q", resp.Status, err, body, x.status, x.want)
			}
		})
	}
	t.Run("GET", func(t *testing.T) {
		r := rawRequest(callContext(t), t, id, "")
		r.Method = http.MethodGet
		resp, err := (&http.Client{Transport: bare(c)}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(resp.Header.Get("Allow"), "POST") {
			t.Errorf("GET: %s, allowed %q", resp.Status, resp.Header.Get("Allow"))
		}
	})
	t.Run("others", func(t *testing.T) {
		do := func(key, session, host, origin, body string) (status int, opened, text string) {
			r := rawRequest(callContext(t), t, session, body)
			r.URL.Host, r.Host = address, host
			if key != "" {
				r.Header.Set("Authorization", "Bearer "+key)
			}
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			all, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, resp.Header.Get("Mcp-Session-Id"), string(all)
		}
		_, session, _ := do("key-of-somebody-aaaa", "", address, "", initialize)
		for _, x := range []struct {
			key, session, host, origin string
			want                       int
		}{
			{"key-of-somebody-aaaa", session, address, "", 200},
			{"key-of-somebody-bbbb", session, address, "", 404},
			{"", session, address, "", 401},
			{"key-of-somebody-cccc", session, address, "", 401},
			{"key-of-somebody-aaaa", session, "evil.example", "", 421},
			{"key-of-somebody-aaaa", session, address, "http://evil.example", 403},
			{"key-of-somebody-aaaa", id, address, "", 404}, // root's, of the Unix socket
		} {
			if status, _, text := do(x.key, x.session, x.host, x.origin, runMessage("1")); status != x.want {
				t.Errorf("%+v: %d %s", x, status, text)
			}
		}
	})
	t.Run("too many", func(t *testing.T) {
		var last int
		for range 130 {
			resp, err := c.Do(rawRequest(callContext(t), t, "", initialize))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			last = resp.StatusCode
		}
		if last != http.StatusTooManyRequests {
			t.Errorf("the last of 130 connections: %d", last)
		}
	})
}

// Without a daemon, root gets one, of which nothing is left, even when its
// starter is killed.
func TestMCPOwnDaemon(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, a *agent, cmd *exec.Cmd){
		"closed":     func(t *testing.T, a *agent, _ *exec.Cmd) { _ = a.Close() },
		"killed":     func(t *testing.T, _ *agent, cmd *exec.Cmd) { _ = cmd.Process.Kill() },
		"terminated": func(t *testing.T, _ *agent, cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			leak.Check(t, "tcid-mcp-")
			said := &syncBuffer{}
			cmd := exec.Command(program, "mcp", "--own-daemon", "--data-dir", dataDir)
			cmd.Stderr = said
			a := connect(t, &sdk.CommandTransport{Command: cmd}, nil)
			if _, r := a.run("", "6 * 7"); string(r.Result) != "42" {
				t.Errorf("got %+v", r)
			}
			has(t, said.String(), "started one of its own", "/run/tcid-mcp-")
			var pid int
			var state string
			at := strings.Index(said.String(), "process ")
			if _, err := fmt.Sscanf(said.String()[at:], "process %d, in %s", &pid, &state); err != nil {
				t.Fatal(err)
			}
			state = strings.TrimSuffix(state, ",")
			leak.Check(t, marks(state)...)
			end(t, a, cmd)
			deadline := time.Now().Add(30 * time.Second)
			for {
				_, gone := os.Stat(state)
				if gone != nil && syscall.Kill(pid, 0) != nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("the daemon (%d) or %s is still there", pid, state)
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	t.Run("none that may be used", func(t *testing.T) {
		cmd := exec.Command(program, "mcp", "--socket", filepath.Join(t.TempDir(), "none"))
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Error("it went on without a daemon")
		}
		has(t, string(out), "there is no daemon at", "tcid serve")
	})
	t.Run("not as root", func(t *testing.T) {
		cmd := exec.Command(program, "mcp", "--own-daemon")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		copied := filepath.Join("/var/tmp", filepath.Base(t.TempDir())+"-tcid")
		copyProgram(t, copied)
		cmd.Path = copied
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Error("nobody started a daemon")
		}
		has(t, string(out), "needs root")
	})
}

// copyProgram puts the program where other users find it.
func copyProgram(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o755); err != nil { //nolint:gosec // others are to run it
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
}

const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`

func runMessage(code string) string {
	text, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call",
		"params": map[string]any{"name": "run_python", "arguments": map[string]any{"code": code}}})
	return string(text)
}

func rawRequest(ctx context.Context, t *testing.T, session, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://tcid/mcp", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	}
	return r
}

func rawPost(t *testing.T, c *http.Client, session, body string) string {
	t.Helper()
	resp, err := c.Do(rawRequest(callContext(t), t, session, body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func rawConnect(t *testing.T, c *http.Client) string {
	t.Helper()
	resp, err := c.Do(rawRequest(callContext(t), t, "", initialize))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	id := resp.Header.Get("Mcp-Session-Id")
	if id == "" {
		t.Fatalf("initialize: %s, without a session", resp.Status)
	}
	return id
}

// bare is a client's transport without the check of requests, for wrong ones.
func bare(c *http.Client) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		return c.Transport.RoundTrip(r.WithContext(contract.Bad(r.Context())))
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// awaitBusy waits until a session runs code.
func (d *daemon) awaitBusy(t *testing.T) { t.Helper(); d.await(t, v1.StateBusy) }

func (d *daemon) awaitIdle(t *testing.T) { t.Helper(); d.await(t, v1.StateReady) }

func (d *daemon) await(t *testing.T, state string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		all, err := d.AllSessions(callContext(t), client.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 1 && all[0].State == state && all[0].ExecuteCount > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no session is %s: %+v", state, all)
		}
	}
}

// only returns the one session there is.
func (d *daemon) only(t *testing.T) v1.Session {
	t.Helper()
	all, err := d.AllSessions(callContext(t), client.ListOptions{})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d sessions, %v", len(all), err)
	}
	return all[0]
}

func checkProgress(t *testing.T, seen []*sdk.ProgressNotificationParams) {
	t.Helper()
	if len(seen) < 2 {
		t.Fatalf("%d notifications came", len(seen))
	}
	for _, p := range seen[:2] {
		has(t, p.Message, "step 0\nstep 1\n")
	}
}
