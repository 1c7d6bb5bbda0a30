package main

import (
	"path/filepath"
	"strings"
	"testing"

	v1 "tcid/api/v1"
)

func TestMCPWithoutADaemon(t *testing.T) {
	clearEnv(t)
	none := filepath.Join(t.TempDir(), "none")
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unreachable":     {[]string{"mcp", "--socket", none}, exitUnreachable, "there is no daemon at " + none},
		"no such address": {[]string{"mcp", "--url", "http://127.0.0.1:1"}, exitUnreachable, "can't be reached"},
		"two daemons":     {[]string{"mcp", "--own-daemon", "--socket", none}, exitUsage, "give one of them"},
		"an argument":     {[]string{"mcp", "x"}, exitUsage, "x"},
		"a wrong flag":    {[]string{"mcp", "--env", "x"}, exitUsage, "NAME=VALUE"},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := tcid("", c.args...)
			if out != "" || code != c.code || !strings.Contains(errs, c.want) {
				t.Errorf("code %d, stdout %q, stderr %q", code, out, errs)
			}
		})
	}
}

// What is said on standard output is the protocol and nothing else, and a wrong
// key is told before it.
func TestMCPConversation(t *testing.T) {
	d := startFake(t, map[string]answer{"GET /v1/version": {body: v1.Version{}}})
	out, errs, code := tcid(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}`+"\n"+
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"+`{"jsonrpc":"2.0","id":"two","method":"ping"}`, "mcp")
	if code != exitOK || errs != "" {
		t.Errorf("code %d, stderr %q", code, errs)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"protocolVersion":"2025-03-26"`) || lines[1] != `{"jsonrpc":"2.0","id":"two","result":{}}` {
		t.Errorf("got %q", lines)
	}
	if got := d.last(t).what; got != "GET /v1/version" {
		t.Errorf("the last request was %s", got)
	}
	startFake(t, map[string]answer{"GET /v1/version": refusal(401, "invalid_api_key", "the API key is wrong")})
	out, errs, code = tcid("", "mcp")
	if out != "" || code != exitRefused || !strings.Contains(errs, "the API key is wrong") {
		t.Errorf("code %d, stdout %q, stderr %q", code, out, errs)
	}
}
