package e2e

import (
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// mcpRemoved removes a session under code that runs in it.
func mcpRemoved(a *agent) {
	var wait sync.WaitGroup
	var stopped *sdk.CallToolResult
	wait.Go(func() {
		stopped, _ = a.CallTool(callContext(a.t), &sdk.CallToolParams{Name: "run_python", Arguments: map[string]any{
			"code": "import time\nopen('begun','w')\ntime.sleep(60)", "session": "removed"}})
	})
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(textOf(a.call("list_files", map[string]any{"session": "removed"})), "begun") && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	a.call("reset_session", map[string]any{"session": "removed", "keep_files": false})
	wait.Wait()
	if stopped == nil || !stopped.IsError {
		a.t.Fatal("the code was not stopped")
	}
	has(a.t, textOf(stopped), "ended while the code ran", "variables and files are lost")
	if _, r := a.run("removed", "import os\nos.listdir()"); string(r.Result) != "[]" {
		a.t.Errorf("got %+v", r)
	}
}

// What a model sends by mistake, or on purpose, gets an answer that says what to
// do.
func mcpHostile(a *agent) {
	for _, c := range []struct {
		tool      string
		arguments map[string]any
		want      []string
	}{
		{"run_python", map[string]any{}, []string{"argument code"}},
		{"run_python", map[string]any{"cod": "1"}, []string{"cod", "takes: code, session, timeout"}},
		{"run_python", map[string]any{"code": 1}, []string{"code", "number"}},
		{"run_python", map[string]any{"code": "1", "timeout": -1}, []string{"timeout"}},
		{"run_python", map[string]any{"code": "1", "timeout": 1e9}, []string{"3600"}},
		{"run_python", map[string]any{"code": "1", "session": "../x"}, []string{"../x", "letters"}},
		{"run_python", map[string]any{"code": "1", "session": strings.Repeat("x", 100_000)}, []string{"letters"}},
		{"run_python", map[string]any{"code": "#" + strings.Repeat("x", 2<<20)}, []string{"Nothing was run"}},
		{"upload_file", map[string]any{"path": "../../etc/x", "content": ""}, []string{".."}},
		{"upload_file", map[string]any{"path": "a\x00b", "content": ""}, []string{"name"}},
		{"upload_file", map[string]any{"path": strings.Repeat("x", 5000), "content": ""}, []string{"4095"}},
		{"upload_file", map[string]any{"path": "x", "content": "ä", "encoding": "base64"}, []string{"base64"}},
		{"upload_file", map[string]any{"path": "x", "content": "", "encoding": "latin-1"}, []string{"base64"}},
		{"upload_file", map[string]any{"path": "x", "content": strings.Repeat("x", 9<<20)}, []string{"8.0 MiB", "parts"}},
		{"download_file", map[string]any{"path": "/etc/passwd", "session": "one"}, []string{"no such file"}},
		{"download_file", map[string]any{"path": "link", "session": "hostile"}, []string{"link"}},
		{"download_file", map[string]any{"path": "x", "session": "none"}, []string{"no session"}},
		{"download_file", map[string]any{"path": "f", "session": "hostile", "offset": 99}, []string{"behind the end"}},
		{"list_files", map[string]any{"path": "..", "session": "hostile"}, []string{".."}},
	} {
		if c.arguments["path"] == "link" {
			a.run("hostile", "import os\nos.symlink('/etc/passwd', 'link')\nopen('f','w').write('f')")
		}
		result := a.call(c.tool, c.arguments)
		if !result.IsError {
			a.t.Errorf("%s %.100v was done: %.500s", c.tool, c.arguments, textOf(result))
		}
		has(a.t, textOf(result), c.want...)
		if n := len(textOf(result)); n > 10_000 {
			a.t.Errorf("%s: an error of %d bytes", c.tool, n)
		}
	}
	result, r := a.run("hostile", "print('begin')\nfor i in range(50_000): print('line', i)\nprint('end')")
	if !r.Truncated || len(textOf(result)) > 40<<10 || len(r.Stdout) > 20<<10 {
		a.t.Errorf("%d bytes of text, %d of stdout, truncated %v", len(textOf(result)), len(r.Stdout), r.Truncated)
	}
	has(a.t, textOf(result), "begin", "line 49999\nend", "left out", "write large output to a file")
	if result, r := a.run("hostile", `print("\ud800 \x00 \x1b[31m")`+"\nimport sys; sys.stdout.buffer.write(b'\\xff\\xfe')"); r.Status != "ok" && r.Status != "error" {
		a.t.Errorf("got %+v %s", r, textOf(result))
	}
	for i := range 20 {
		result = a.call("run_python", map[string]any{"code": "1", "session": "many-" + string(rune('a'+i))})
	}
	if !result.IsError {
		a.t.Error("a connection may have any number of sessions")
	}
	has(a.t, textOf(result), "16 sessions", "reset_session")
	for i := range 20 {
		a.call("reset_session", map[string]any{"session": "many-" + string(rune('a'+i)), "keep_files": false})
	}
}

// A session that has ended says what is lost, and the next call has a new one.
func mcpLost(a *agent, d *daemon) {
	a.run("lost", "x = 1")
	if _, err := d.CloseSessions(callContext(a.t), map[string]string{"mcp_session": "lost"}); err != nil {
		a.t.Fatal(err)
	}
	result := a.call("run_python", map[string]any{"session": "lost", "code": "x"})
	if !result.IsError {
		a.t.Error("a session that has ended was used")
	}
	has(a.t, textOf(result), `session "lost" has ended`, "variables and files are lost", "nothing was run")
	if _, r := a.run("lost", "'x' in globals()"); string(r.Result) != "false" {
		a.t.Errorf("got %+v", r)
	}
}
