package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tcid/test/contract"
)

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
		"no session":         {"", runMessage("1"), nil, 200, "initialization"},
		"no session, a ping": {"", ping, nil, 200, `"result":{}`},
		"unknown session":    {"mcp_none", runMessage("1"), nil, 404, "session_not_found"},
		"not JSON":           {id, "{", nil, 400, "invalid_json"},
		"batch":              {id, "[]", nil, 400, "batches"},
		"spaced batch":       {id, "\n [" + ping + "]", nil, 400, "batches"},
		"no version":         {id, `{"id":1,"method":"ping"}`, nil, 400, "version tag"},
		"id of null":         {id, `{"jsonrpc":"2.0","id":null,"method":"ping"}`, nil, 400, "missing id"},
		"id of an object":    {id, `{"jsonrpc":"2.0","id":{},"method":"ping"}`, nil, 400, "invalid ID"},
		"notification":       {id, `{"jsonrpc":"2.0","method":"notifications/none"}`, nil, 400, "unsupported"},
		"answer":             {id, `{"jsonrpc":"2.0","id":1,"result":{}}`, nil, 202, ""},
		"ping":               {id, ping, nil, 200, `"result":{}`},
		"unknown method":     {id, `{"jsonrpc":"2.0","id":1,"method":"none/none"}`, nil, 400, "unsupported"},
		"unknown tool":       {id, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm"}}`, nil, 200, "-32602"},
		"wrong parameters":   {id, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}`, nil, 200, "-32602"},
		"second handshake":   {id, initialize, nil, 200, "duplicate"},
		"past version":       {id, ping, map[string]string{"Mcp-Protocol-Version": "2023-01-01"}, 400, "2025-11-25"},
		"future version":     {id, ping, map[string]string{"Mcp-Protocol-Version": "2099-01-01"}, 400, `"supported":["2025-11-25"`},
		"not JSON's type":    {id, ping, map[string]string{"Content-Type": "text/plain"}, 415, "application/json"},
		"no events":          {id, ping, map[string]string{"Accept": "application/json"}, 400, "text/event-stream"},
		"too large":          {id, strings.Repeat(" ", 17<<20) + ping, nil, 413, "body_too_large"},
		"deep":               {id, `{"jsonrpc":"2.0","id":1,"method":"ping","params":` + strings.Repeat("[", 100_000), nil, 400, "error"},
		"deep and valid":     {id, `{"jsonrpc":"2.0","id":1,"method":"ping","params":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, nil, 400, "nesting"},
		"many values":        {id, `{"jsonrpc":"2.0","id":1,"method":"ping","params":[` + strings.Repeat("{},", 100_000) + `{}]}`, nil, 400, "values"},
		"our own header":     {id, runMessage("6*7"), map[string]string{"Tcid-Post": "x"}, 200, `"result":42`},
		"2026-07-28":         {"", modern("tools/list"), map[string]string{"Mcp-Protocol-Version": "2026-07-28"}, 400, `"supported":["2025-11-25"`},
		"2026-07-28, asked":  {"", modern("server/discover"), map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "server/discover"}, 200, `"supportedVersions":["2025-11-25"`},
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
	// What begins no connection leaves none, or the next would find no room.
	t.Run("strays", func(t *testing.T) {
		for range 200 {
			if got := rawPost(t, c, "", ping); !strings.Contains(got, `"result":{}`) {
				t.Fatalf("got %s", got)
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

// Connections that come and go cost the daemon nothing for long.
func TestMCPConnectionsComeAndGo(t *testing.T) {
	d := start(t, "--pool", "0")
	c := d.unixHTTP(t)
	cycle := func(run bool) {
		id := rawConnect(t, c)
		if run {
			rawPost(t, c, id, runMessage("x = 1"))
		}
		mcpDelete(t, c, id)
	}
	for range 20 {
		cycle(true)
	}
	open, resident := len(d.descriptors()), residentKiB(t, d.cmd.Process.Pid)
	for i := range times(300, 1000) {
		cycle(i%20 == 0)
	}
	d.calm(t, open, resident, 16<<10)
	d.awaitSessions(0)
}

const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

// modern is a request as of 2026-07-28, which has no handshake.
func modern(method string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
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
