package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"image/png"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/api/client"
	"tcid/api/mcp"
	v1 "tcid/api/v1"
)

// mcpWays are the ways to a daemon's tools. The client is that of the protocol's
// own SDK, which knows nothing of ours.
var mcpWays = map[string]func(t *testing.T, d *daemon) sdk.Transport{
	"http": func(t *testing.T, d *daemon) sdk.Transport {
		return &sdk.StreamableClientTransport{Endpoint: "http://tcid/mcp", HTTPClient: d.unixHTTP(t), DisableStandaloneSSE: true, MaxRetries: -1}
	},
	"stdio": func(t *testing.T, d *daemon) sdk.Transport {
		cmd := exec.Command(program, "mcp", "--socket", filepath.Join(d.state, "tcid.sock"))
		cmd.Stderr = &syncBuffer{}
		return &sdk.CommandTransport{Command: cmd}
	},
	"memory": func(t *testing.T, d *daemon) sdk.Transport {
		toServer, fromClient := io.Pipe()
		toClient, fromServer := io.Pipe()
		done := make(chan error, 1)
		go func() {
			// Without the check of the contract: models make mistakes.
			c := client.New(client.Options{Socket: filepath.Join(d.state, "tcid.sock")})
			defer c.Close()
			done <- mcp.Serve(context.Background(), c, mcp.Options{Version: "test"}, toServer, fromServer)
			fromServer.Close()
		}()
		t.Cleanup(func() {
			fromClient.Close()
			if err := <-done; err != nil {
				t.Errorf("serve: %v", err)
			}
		})
		return &sdk.IOTransport{Reader: toClient, Writer: fromClient}
	},
}

// unixHTTP is a client over the daemon's socket whose traffic is held against
// the API's description.
func (d *daemon) unixHTTP(t *testing.T) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.state, "tcid.sock"))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: d.contract.RoundTripper(transport)}
}

// agent is a connected MCP client.
type agent struct {
	*sdk.ClientSession
	t *testing.T
}

func connect(t *testing.T, transport sdk.Transport, o *sdk.ClientOptions) *agent {
	t.Helper()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, o).Connect(callContext(t), transport, nil)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return &agent{session, t}
}

// call calls a tool. Its answer must have the shape that the tool promises.
func (a *agent) call(name string, arguments map[string]any) *sdk.CallToolResult {
	a.t.Helper()
	result, err := a.CallTool(callContext(a.t), &sdk.CallToolParams{Name: name, Arguments: arguments})
	if err != nil {
		a.t.Fatalf("%s: %v", name, err)
	}
	return result
}

type ran struct {
	Status     string          `json:"status"`
	Stdout     string          `json:"stdout"`
	Result     json.RawMessage `json:"result"`
	Error      *raised         `json:"error"`
	Files      []v1.FileChange `json:"files"`
	Images     int             `json:"images"`
	Truncated  bool            `json:"truncated"`
	StateLost  bool            `json:"state_lost"`
	NextOffset *int64          `json:"next_offset"`
	Content    string          `json:"content"`
	Encoding   string          `json:"encoding"`
}

type raised struct{ Name, Message, Traceback string }

func (a *agent) run(session, code string) (*sdk.CallToolResult, ran) {
	a.t.Helper()
	result := a.call("run_python", map[string]any{"code": code, "session": session})
	return result, a.structured(result)
}

func (a *agent) structured(result *sdk.CallToolResult) (r ran) {
	a.t.Helper()
	text, err := json.Marshal(result.StructuredContent)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		a.t.Fatal(err)
	}
	return r
}

// textOf joins an answer's texts.
func textOf(result *sdk.CallToolResult) string {
	var b strings.Builder
	for _, c := range result.Content {
		if text, ok := c.(*sdk.TextContent); ok {
			b.WriteString(text.Text)
		}
	}
	return b.String()
}

func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%.2000q says nothing of %q", text, part)
		}
	}
}

// drawing is a chart without any package: what matplotlib's figures look like to
// the display machinery.
const drawing = `
import struct, zlib
class Chart:
    def _repr_png_(self):
        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        rows = b"".join(b"\0" + bytes((x * 2, y * 2, 128)[i] for x in range(100) for i in range(3)) for y in range(80))
        return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 100, 80, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
`

// A whole piece of work, over each of the ways.
func TestMCP(t *testing.T) {
	d := start(t)
	for name, way := range mcpWays {
		t.Run(name, func(t *testing.T) {
			before := d.sessionCount()
			a := connect(t, way(t, d), nil)
			version := "2026-07-28"
			if name == "http" { // that version has no sessions over HTTP
				version = "2025-11-25"
			}
			if got := a.InitializeResult().ProtocolVersion; got != version {
				t.Errorf("version %s, want %s", got, version)
			}
			t.Run("tools", func(t *testing.T) { mcpTools(&agent{a.ClientSession, t}) })
			t.Run("chart", func(t *testing.T) { mcpChart(&agent{a.ClientSession, t}) })
			t.Run("files", func(t *testing.T) { mcpFiles(&agent{a.ClientSession, t}) })
			t.Run("resources", func(t *testing.T) { mcpResources(&agent{a.ClientSession, t}) })
			t.Run("errors", func(t *testing.T) { mcpErrors(&agent{a.ClientSession, t}) })
			t.Run("sessions", func(t *testing.T) { mcpSessions(&agent{a.ClientSession, t}) })
			t.Run("removed", func(t *testing.T) { mcpRemoved(&agent{a.ClientSession, t}) })
			t.Run("hostile", func(t *testing.T) { mcpHostile(&agent{a.ClientSession, t}) })
			t.Run("lost", func(t *testing.T) { mcpLost(&agent{a.ClientSession, t}, d) })
			if d.sessionCount() == before {
				t.Error("no session is alive before the end")
			}
			if err := a.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			d.awaitSessions(before)
		})
	}
}

// sessionCount counts the daemon's sessions.
func (d *daemon) sessionCount() int {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	n := 0
	for _, err := range d.Sessions(ctx, client.ListOptions{}) {
		if err != nil {
			d.t.Fatal(err)
		}
		n++
	}
	return n
}

// awaitSessions waits until so many sessions are left.
func (d *daemon) awaitSessions(want int) {
	d.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for d.sessionCount() != want {
		if time.Now().After(deadline) {
			d.t.Fatalf("%d sessions are left, want %d", d.sessionCount(), want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func mcpTools(a *agent) {
	list, err := a.ListTools(callContext(a.t), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		if len(tool.Description) < 30 || len(tool.Description) > 600 || tool.OutputSchema == nil || tool.Annotations == nil || tool.Annotations.DestructiveHint == nil {
			a.t.Errorf("%s is not described as it should be", tool.Name)
		}
	}
	slices.Sort(names)
	want := []string{"download_file", "interrupt_session", "list_files", "list_sessions", "reset_session", "run_python", "upload_file"}
	if !slices.Equal(names, want) {
		a.t.Errorf("tools %q, want %q", names, want)
	}
	if a.InitializeResult().Instructions == "" || a.InitializeResult().ServerInfo.Name != "tcid" {
		a.t.Error("the server does not say what it is")
	}
}

func mcpChart(a *agent) {
	result, r := a.run("charts", drawing+`
print("before")
display(Chart())
open("chart.png", "wb").write(Chart()._repr_png_())
result = {"points": 3}`)
	if r.Status != "ok" || r.Images != 1 || string(r.Result) != `{"points":3}` || len(r.Files) != 1 || r.Files[0].Change != "created" {
		a.t.Fatalf("got %+v", r)
	}
	has(a.t, textOf(result), "before\n[image 1]", "[result] {'points': 3}", "created chart.png")
	a.picture(result)
	// The same from its file.
	a.picture(a.call("download_file", map[string]any{"path": "chart.png", "session": "charts"}))
	if _, r := a.run("charts", drawing+"for i in range(12): display(Chart())"); r.Images != 8 || !r.Truncated {
		a.t.Errorf("of 12 images, %d came; truncated %v", r.Images, r.Truncated)
	}
}

// picture checks that an answer holds the chart.
func (a *agent) picture(result *sdk.CallToolResult) {
	a.t.Helper()
	for _, c := range result.Content {
		if image, ok := c.(*sdk.ImageContent); ok {
			seen, err := png.Decode(bytes.NewReader(image.Data))
			if err != nil || image.MIMEType != "image/png" || seen.Bounds().Dx() != 100 {
				a.t.Errorf("the image is not the chart: %v", err)
			}
			return
		}
	}
	a.t.Errorf("there is no image in %q", textOf(result))
}

func mcpFiles(a *agent) {
	text := strings.Repeat("zwölf Boxkämpfer €\n", 20_000)
	a.call("upload_file", map[string]any{"path": "in/a b.txt", "content": text, "session": "files"})
	// In parts that end between characters.
	var got strings.Builder
	parts := 0
	for offset := int64(0); ; parts++ {
		result := a.call("download_file", map[string]any{"path": "in/a b.txt", "session": "files", "offset": offset, "max_bytes": 100_001})
		r := a.structured(result)
		if r.Encoding != "text" {
			a.t.Fatalf("encoding %q: %s", r.Encoding, textOf(result))
		}
		got.WriteString(r.Content)
		if r.NextOffset == nil {
			break
		}
		offset = *r.NextOffset
	}
	if got.String() != text || parts != 4 {
		a.t.Errorf("got %d bytes in %d parts, want %d", got.Len(), parts+1, len(text))
	}
	binary := `/////wABAgM=` // no text
	a.call("upload_file", map[string]any{"path": "b.bin", "content": binary, "encoding": "base64", "session": "files"})
	if _, r := a.run("files", `open("b.bin","rb").read() == b"\xff\xff\xff\xff\x00\x01\x02\x03"`); string(r.Result) != "true" {
		a.t.Errorf("Python read another file: %+v", r)
	}
	if r := a.structured(a.call("download_file", map[string]any{"path": "b.bin", "session": "files"})); r.Encoding != "base64" || r.Content != binary {
		a.t.Errorf("got %+v", r)
	}
	has(a.t, textOf(a.call("list_files", map[string]any{"session": "files"})), "in/\n", "in/a b.txt (", "b.bin (8 bytes)")
	failed := a.call("download_file", map[string]any{"path": "c.bin", "session": "files"})
	if !failed.IsError {
		a.t.Error("a file that does not exist was downloaded")
	}
	has(a.t, textOf(failed), "c.bin", "in/a b.txt", "b.bin")
}

func mcpResources(a *agent) {
	a.call("upload_file", map[string]any{"path": "a/grün %.txt", "content": "text", "session": "res"})
	list, err := a.ListResources(callContext(a.t), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	at := slices.IndexFunc(list.Resources, func(r *sdk.Resource) bool { return r.Name == "a/grün %.txt" })
	if at < 0 || list.Resources[at].Size != 4 || list.Resources[at].MIMEType != "text/plain" {
		a.t.Fatalf("the file is not among the resources: %+v", list.Resources)
	}
	a.run("res", "open('empty.txt', 'w').close()\nopen('bytes', 'wb').write(bytes(range(256)))")
	for name, want := range map[string]string{"empty.txt": "", "bytes": string(allBytes())} {
		read, err := a.ReadResource(callContext(a.t), &sdk.ReadResourceParams{URI: "tci://res/" + name})
		if err != nil || len(read.Contents) != 1 || read.Contents[0].Blob == nil || string(read.Contents[0].Blob) != want {
			a.t.Errorf("%s: %+v, %v", name, read, err)
		}
	}
	read, err := a.ReadResource(callContext(a.t), &sdk.ReadResourceParams{URI: list.Resources[at].URI})
	if err != nil || len(read.Contents) != 1 || read.Contents[0].Text != "text" {
		a.t.Errorf("got %+v, %v", read, err)
	}
	for _, uri := range []string{"tci://res/none", "tci://res/../../etc/passwd", "tci://none/x", "tci://res/", "file:///etc/passwd", "tci://res/%zz", "tci:///etc/passwd"} {
		if read, err := a.ReadResource(callContext(a.t), &sdk.ReadResourceParams{URI: uri}); err == nil {
			a.t.Errorf("%s was read: %+v", uri, read.Contents[0])
		}
	}
	templates, err := a.ListResourceTemplates(callContext(a.t), nil)
	if err != nil || len(templates.ResourceTemplates) != 1 {
		a.t.Errorf("got %+v, %v", templates, err)
	}
}

func allBytes() (all []byte) {
	for i := range 256 {
		all = append(all, byte(i))
	}
	return all
}

func mcpErrors(a *agent) {
	a.run("errors", "x = 41")
	result, r := a.run("errors", "print('so far')\n1/0")
	if !result.IsError || r.Status != "error" || r.Error == nil || r.Error.Name != "ZeroDivisionError" {
		a.t.Errorf("got %+v", r)
	}
	has(a.t, textOf(result), "so far", "ZeroDivisionError")
	slow := a.call("run_python", map[string]any{"code": "import time\ntime.sleep(60)", "session": "errors", "timeout": 0.5})
	if r := a.structured(slow); !slow.IsError || r.Status != "timeout" || r.StateLost {
		a.t.Errorf("got %+v", r)
	}
	has(a.t, textOf(slow), "after 0.5 s", "Variables and files are kept", "larger timeout")
	if _, r := a.run("errors", "x + 1"); string(r.Result) != "42" {
		a.t.Errorf("the variables are gone: %+v", r)
	}
	dead, r := a.run("errors", "import os\nos._exit(3)")
	if !dead.IsError || r.Status != "crashed" || !r.StateLost {
		a.t.Errorf("got %+v", r)
	}
	has(a.t, textOf(dead), "variables and imports are lost, files are kept")
}

func mcpSessions(a *agent) {
	a.run("one", "x = 1")
	a.run("two", "x = 2\nopen('f','w').write('f')")
	if _, r := a.run("one", "x"); string(r.Result) != "1" {
		a.t.Errorf("the sessions have a variable in common: %+v", r)
	}
	has(a.t, textOf(a.call("list_sessions", nil)), "one: ready, 2 runs", "two: ready, 1 run,")
	a.call("reset_session", map[string]any{"session": "two"})
	if _, r := a.run("two", "[open('f').read(), 'x' in globals()]"); string(r.Result) != `["f",false]` {
		a.t.Errorf("after a reset: %s", r.Result)
	}
	a.call("reset_session", map[string]any{"session": "two", "keep_files": false})
	if _, r := a.run("two", "import os\nos.listdir()"); string(r.Result) != "[]" {
		a.t.Errorf("after a reset without files: %s", r.Result)
	}
	// A call of another one interrupts.
	var wait sync.WaitGroup
	var stopped *sdk.CallToolResult
	wait.Go(func() {
		stopped, _ = a.CallTool(callContext(a.t), &sdk.CallToolParams{Name: "run_python", Arguments: map[string]any{
			"code": "import time\nopen('begun','w')\ntime.sleep(60)", "session": "one"}})
	})
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(textOf(a.call("list_files", map[string]any{"session": "one"})), "begun") && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	has(a.t, textOf(a.call("interrupt_session", map[string]any{"session": "one"})), "is interrupted")
	wait.Wait()
	if stopped == nil || !stopped.IsError {
		a.t.Error("the code was not interrupted")
	}
	has(a.t, textOf(a.call("interrupt_session", map[string]any{"session": "one"})), "Nothing runs")
	if _, r := a.run("one", "x"); string(r.Result) != "1" {
		a.t.Errorf("an interrupt lost the variables: %+v", r)
	}
}
