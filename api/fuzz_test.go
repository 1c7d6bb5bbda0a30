package api

import (
	"net/http"
	"strings"
	"testing"

	"tcid/api/transport"
	v1 "tcid/api/v1"
)

// refusal wants an error to be the client's fault, and to say so.
func refusal(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	e := transport.From(err)
	if e.Status < http.StatusBadRequest || e.Status >= http.StatusInternalServerError || e.Code == "" || e.Message == "" {
		t.Errorf("%v becomes %d %s", err, e.Status, e.Code)
	}
}

func FuzzExecutionBody(f *testing.F) {
	for _, seed := range []string{
		`{"code":"1"}`, `{"code":"","tests":[{"condition":"x","reward":1e308,"timeout":-1}]}`, `{"code":1}`, `{"code":"\ud800"}`,
		`{"code":"1","files":[{"name":"a","encoding":"base64","content":"%%"}],"timeout":1e400}`, `[]`, `{"code":"1"}{}`,
		`{"code":"1","stdin":null,"env":{"":""},"grading":{"mode":""},"max_output_bytes":-1}`, strings.Repeat(`[`, 20000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in v1.ExecSpec
		err := transport.Decode(body, &in, true)
		if err == nil {
			_, err = execSpec(in, body)
		}
		refusal(t, err)
		var once v1.OneShot
		refusal(t, transport.Decode(body, &once, true))
	})
}

func FuzzSessionBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"ttl":-0.0,"idle_timeout":null}`, `{"resources":{"cpus":1e999}}`, `{"network":{"mode":"full","allow":["x"]}}`,
		`{"metadata":{"a":1}}`, `{"files":[{}]}`, `{"isolation":"fork","language":"ruby"}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in v1.SessionSpec
		err := transport.Decode(body, &in, true)
		if err == nil {
			_, err = sessionSpec(in)
		}
		refusal(t, err)
	})
}

func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"name tci_0123456789abcdef\n", "# c\n\nabcdefghijklmnop", "a b c", strings.Repeat("x", 70000), "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ParseKeys(strings.NewReader(text))
		if err != nil {
			return
		}
		// Some word of an accepted file is a key, and no comment is one.
		found := false
		for line := range strings.Lines(text) {
			fields := strings.Fields(line)
			if len(fields) == 0 {
				continue
			}
			_, ok := keys.principal(fields[len(fields)-1])
			found = found || ok
		}
		if !found {
			t.Error("a file without keys is accepted")
		}
	})
}
