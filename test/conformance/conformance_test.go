package conformance

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"tcid/api/client"
	"tcid/test/repo"
)

// The cases against the daemon that TCI_BASE_URL names, a line for each.
// test/e2e plays them against one of its own.
func TestCases(t *testing.T) {
	base := os.Getenv("TCI_BASE_URL")
	if base == "" {
		t.Skip("TCI_BASE_URL names no daemon, such as unix:///run/tcid/tcid.sock")
	}
	o := client.Options{URL: base, Key: os.Getenv("TCI_API_KEY")}
	if socket, ok := strings.CutPrefix(base, "unix://"); ok {
		o = client.Options{Socket: socket}
	}
	cases, err := Load(repo.Path("test", "conformance", "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(o)
	defer c.Close()
	if failed := PlayAll(t.Context(), c, cases, os.Stdout); failed > 0 {
		t.Errorf("%d cases failed", failed)
	}
}

// What fits a pattern, and what doesn't.
func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		fits           bool
	}{
		{`null`, `null`, true}, {`null`, `0`, false}, {`1`, `1.0`, true}, {`1`, `true`, false}, {`"a"`, `"a"`, true}, {`"a"`, `"ab"`, false},
		{`[1, 2]`, `[1, 2]`, true}, {`[1]`, `[1, 2]`, false}, {`[]`, `null`, false},
		{`{"a": 1}`, `{"a": 1, "b": 2}`, true}, {`{"a": 1}`, `{"b": 2}`, false}, {`{}`, `[]`, false}, {`{"a": {"b": [{"c": 1}]}}`, `{"a": {"b": [{"c": 2}]}}`, false},
		{`{"$equal": {"a": 1}}`, `{"a": 1}`, true}, {`{"$equal": {"a": 1}}`, `{"a": 1, "b": 2}`, false}, {`{"$equal": 1}`, `true`, false},
		{`{"$contains": "b"}`, `"abc"`, true}, {`{"$contains": "b"}`, `["a", "abc"]`, true}, {`{"$contains": "b"}`, `["a", 1]`, false}, {`{"$contains": "b"}`, `null`, false},
		{`{"$match": "^a.c$"}`, `"abc"`, true}, {`{"$match": "b"}`, `1`, false}, {`{"$match": "("}`, `"("`, false},
		{`{"$near": 0.3}`, `0.30000000000000004`, true}, {`{"$near": 0.3}`, `0.31`, false}, {`{"$near": 1}`, `true`, false},
		{`{"$above": 1}`, `1.5`, true}, {`{"$above": 1}`, `1`, false}, {`{"$above": 1}`, `"2"`, false},
		{`{"$new": 1}`, `1`, false}, {`{"$above": "x"}`, `1`, false}, {`{"$equal": 1, "a": 2}`, `1`, false},
	} {
		var pattern, value any
		if err := errors.Join(json.Unmarshal([]byte(c.pattern), &pattern), json.Unmarshal([]byte(c.value), &value)); err != nil {
			t.Fatal(err)
		}
		if err := fit(pattern, value, "it"); (err == nil) != c.fits {
			t.Errorf("%s and %s: %v", c.pattern, c.value, err)
		}
	}
}

// What a runner doesn't know fails, and is never skipped.
func TestUnknown(t *testing.T) {
	c := client.New(client.Options{Socket: "/nonexistent", Retries: -1})
	for text, want := range map[string]string{
		`{"op": "fly"}`:              "does not know the operation",
		`{"op": "close", "high": 1}`: "nonexistent",
		`{"op": "run", "code": "1", "options": {"speed": 9}}`:                                                      `unknown field "speed"`,
		`{"op": "run", "code": 1}`:                                                                                 "code",
		`{"op": "close", "expect_error": {"kind": "new"}}`:                                                         `kind "new"`,
		`{"op": "close", "expect_error": {"kind": "conflict", "mood": "bad"}}`:                                     "mood",
		`{"op": "run", "tests": [{"x": 1}], "expect_error": {"kind": "invalid_request", "param": "y"}}`:            `the param is "x"`,
		`{"op": "run", "tests": [{"x": 1}], "expect_error": {"kind": "conflict"}}`:                                 "of the kind conflict",
		`{"op": "run", "tests": [{"name": 1}], "expect_error": {"kind": "invalid_request"}}`:                       "wanted the daemon",
		`{"op": "run", "tests": [{"x": 1}], "expect_error": {"kind": "invalid_request", "code": "unknown_field"}}`: "",
	} {
		var one map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		failed := PlayAll(t.Context(), c, []Case{{Name: "it", Steps: []map[string]json.RawMessage{one}}}, &out)
		if want == "" && failed != 0 || want != "" && (failed != 1 || !strings.Contains(out.String(), want)) {
			t.Errorf("%s: %d failed, %q", text, failed, out.String())
		}
	}
}
