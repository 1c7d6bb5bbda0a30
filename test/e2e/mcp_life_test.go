package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/api/client"
	"tcid/api/transport"
	v1 "tcid/api/v1"
)

// Who asks for it sees how a call goes on; who cancels it keeps the variables.
func TestMCPProgressAndCancel(t *testing.T) {
	t.Parallel() // with the others that wait
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
	t.Parallel() // with the others that wait
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
		mcpDelete(t, c, id)
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

// A call that takes long says that it will come, and more than so many are not
// begun; the end of the connection is that of all.
func TestMCPManyLongCalls(t *testing.T) {
	d := start(t)
	c := d.unixHTTP(t)
	id := rawConnect(t, c)
	answers := make(chan string, 64)
	for range 64 {
		go func() {
			message := strings.Replace(runMessage("import time\ntime.sleep(50)"), `"id":1`, `"id":"`+rand.Text()+`"`, 1)
			resp, err := c.Do(rawRequest(callContext(t), t, id, message))
			if err != nil {
				answers <- err.Error()
				return
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			answers <- string(text)
		}()
	}
	begun := time.Now()
	for got := ""; !strings.Contains(got, "64 requests are under way"); got = rawPost(t, c, id, ping) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("got %s", got)
		}
	}
	time.Sleep(transport.Heartbeat + time.Second - time.Since(begun))
	mcpDelete(t, c, id)
	for range 64 {
		has(t, <-answers, ": alive\n\n")
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("the calls went on for %v", took)
	}
	d.awaitSessions(0)
}

// mcpDelete ends a connection.
func mcpDelete(t *testing.T, c *http.Client, id string) {
	t.Helper()
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
}

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
