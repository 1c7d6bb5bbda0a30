package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// conversation is a tcid mcp that is spoken with by lines.
type conversation struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said *syncBuffer // on standard error
}

func (d *daemon) converse(t *testing.T) *conversation {
	t.Helper()
	c := &conversation{t: t, said: &syncBuffer{}, cmd: exec.Command(program, "mcp", "--socket", filepath.Join(d.state, "tcid.sock"))}
	c.cmd.Stderr = c.said
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return c
}

func (c *conversation) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// ask says a line and returns the next one that comes.
func (c *conversation) ask(line string) string {
	c.t.Helper()
	c.say(line)
	text, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%.200s: %v, %s", line, err, c.said)
	}
	return text
}

// rest is what comes until the end, which must be messages only.
func (c *conversation) rest() (answers []string, err error) {
	c.t.Helper()
	all, _ := io.ReadAll(c.out)
	for line := range strings.Lines(string(all)) {
		answers = append(answers, line)
		if !strings.HasPrefix(line, `{"jsonrpc":"2.0"`) || !json.Valid([]byte(line)) {
			c.t.Errorf("on standard output is %.200q", line)
		}
	}
	return answers, c.cmd.Wait()
}

// The protocol's edges on standard input, as bytes.
func TestMCPOverRawStdio(t *testing.T) {
	d := start(t)
	for asked, want := range map[string]string{
		"2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25",
		"1999-01-01": "2025-11-25", "2099-01-01": "2025-11-25",
	} {
		t.Run(asked, func(t *testing.T) {
			c := d.converse(t)
			has(t, c.ask(strings.Replace(initialize, "2025-06-18", asked, 1)), `"protocolVersion":"`+want+`"`)
			c.say(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
			has(t, c.ask(runMessage("6*7")), `"result":42`)
		})
	}
	t.Run("2026-07-28", func(t *testing.T) {
		c := d.converse(t)
		has(t, c.ask(modern("server/discover")), `"supportedVersions":["2026-07-28","2025-11-25"`, `"name":"tcid"`)
		call := func(code string) string {
			return strings.Replace(modern("tools/call"), `"params":{`, fmt.Sprintf(`"params":{"name":"run_python","arguments":{"code":%q},`, code), 1)
		}
		has(t, c.ask(call("x = 41")), `"status":"ok"`)
		has(t, c.ask(call("x + 1")), `"result":42`) // the process is the connection
		has(t, c.ask(strings.ReplaceAll(modern("ping"), "2026-07-28", "2099-01-01")), "-32022", "2026-07-28")
	})
	t.Run("the end of the input", func(t *testing.T) {
		c := d.converse(t)
		c.say(initialize)
		for i := range 20 {
			c.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`, i+1))
		}
		c.in.Close()
		if answers, err := c.rest(); len(answers) != 21 || err != nil {
			t.Errorf("%d of 21 requests have an answer: %v, %s", len(answers), err, c.said)
		}
	})
	// What is no protocol ends the connection, with its sessions.
	for name, line := range map[string]string{
		"no JSON":      "{",
		"another text": "hello",
		"too long":     `{"jsonrpc":"2.0","id":2,"method":"ping","params":{"x":"` + strings.Repeat("x", 17<<20) + `"}}`,
		"deep":         strings.Repeat("[", 1<<20),
		"no version":   `{"id":2,"method":"ping"}`,
	} {
		t.Run(name, func(t *testing.T) {
			before := d.sessionCount()
			c := d.converse(t)
			c.ask(initialize)
			has(t, c.ask(runMessage("6*7")), `"result":42`)
			go func() { // it may stop reading in the middle
				_, _ = io.WriteString(c.in, line+"\n")
				c.in.Close()
			}()
			if _, err := c.rest(); err == nil {
				t.Error("it ended as if all were well")
			}
			has(t, c.said.String(), "read from the client")
			d.awaitSessions(before)
		})
	}
}
