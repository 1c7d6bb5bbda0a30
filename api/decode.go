package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/daemon/session"
)

// readJSON reads a JSON body into v, strictly: an unknown field is more likely
// a typing error than a wish. optional allows an empty body. It returns the
// body for a second look.
func readJSON(w http.ResponseWriter, r *http.Request, v any, optional bool) ([]byte, error) {
	body, err := transport.ReadBody(w, r, optional)
	if err != nil || optional && len(bytes.TrimSpace(body)) == 0 {
		return body, err
	}
	return body, transport.Decode(body, v, true)
}

// seconds turns a number of the wire into a duration.
func seconds(param string, s *float64) (time.Duration, error) {
	if s == nil {
		return 0, nil
	}
	if math.IsNaN(*s) || *s < 0 || *s > float64(math.MaxInt64)/float64(time.Second) {
		return 0, transport.BadRequest("invalid_value", param, "%s must be a number of seconds, not below 0", param)
	}
	return time.Duration(*s * float64(time.Second)), nil
}

// positiveSeconds is seconds for times that can't be 0.
func positiveSeconds(param string, s *float64) (time.Duration, error) {
	if s != nil && *s <= 0 {
		return 0, transport.BadRequest("invalid_value", param, "%s must be above 0", param)
	}
	return seconds(param, s)
}

func sessionSpec(in v1.SessionSpec) (session.Spec, error) {
	out := session.Spec{
		Language: in.Language, Isolation: in.Isolation, Env: in.Env, Cwd: in.Cwd,
		Metadata: in.Metadata, Image: in.Image,
	}
	var err error
	if out.TTL, err = seconds("ttl", in.TTL); err != nil {
		return out, err
	}
	if in.IdleTimeout != nil {
		idle, err := seconds("idle_timeout", in.IdleTimeout)
		if err != nil {
			return out, err
		}
		out.IdleTimeout = &idle
	}
	if in.Resources != nil {
		out.Resources = session.Resources(*in.Resources)
	}
	if in.Network != nil {
		out.NetworkMode = in.Network.Mode
		if len(in.Network.Allow) > 0 {
			return out, transport.BadRequest("unsupported", "network.allow", "sessions have no network; network.allow is not supported")
		}
	}
	out.Files, err = inlineFiles(in.Files)
	return out, err
}

func inlineFiles(in []v1.InlineFile) ([]session.File, error) {
	var out []session.File
	for i, f := range in {
		which := fmt.Sprintf("files[%d]", i)
		content, err := transport.FileContent(which, f.Encoding, f.Content)
		if err != nil {
			return nil, err
		}
		if f.Name == "" {
			return nil, transport.BadRequest("invalid_file", "files", "%s: name is missing", which)
		}
		out = append(out, session.File{Name: f.Name, Content: content})
	}
	return out, nil
}

// execSpec turns a request into an execution. body is looked at to tell an
// empty code from a missing one.
func execSpec(in v1.ExecSpec, body []byte) (session.ExecSpec, error) {
	out := session.ExecSpec{Code: in.Code, Env: in.Env, Cwd: in.Cwd, MaxOutputBytes: in.MaxOutputBytes, Detach: in.Detach}
	if in.Code == "" {
		var probe struct {
			Code *string `json:"code"`
		}
		if err := json.Unmarshal(body, &probe); err != nil || probe.Code == nil {
			return out, transport.BadRequest("missing_field", "code", "code is missing: send the Python code to run")
		}
	}
	if in.MaxOutputBytes < 0 {
		return out, transport.BadRequest("invalid_value", "max_output_bytes", "max_output_bytes must be above 0")
	}
	var err error
	if out.Stdin, err = stdinOf(in); err != nil {
		return out, err
	}
	if out.Timeout, err = positiveSeconds("timeout", in.Timeout); err != nil {
		return out, err
	}
	if out.Files, err = inlineFiles(in.Files); err != nil {
		return out, err
	}
	if in.Grading != nil {
		out.Grading = gradeMode(in.Grading.Mode)
	}
	for i, t := range in.Tests {
		test, err := gradeTest(i, t)
		if err != nil {
			return out, err
		}
		out.Tests = append(out.Tests, test)
	}
	return out, nil
}

// stdinOf is what the code is to read; nil: nothing.
func stdinOf(in v1.ExecSpec) ([]byte, error) {
	switch {
	case in.Stdin != nil && in.StdinBase64 != nil:
		return nil, transport.BadRequest("invalid_value", "stdin_base64", "stdin and stdin_base64 are two forms of one thing; give one")
	case in.Stdin != nil:
		return append([]byte{}, *in.Stdin...), nil
	case in.StdinBase64 != nil:
		decoded, err := base64.StdEncoding.DecodeString(*in.StdinBase64)
		if err != nil {
			return nil, transport.BadRequest("invalid_value", "stdin_base64", "stdin_base64 is not valid base64")
		}
		return append([]byte{}, decoded...), nil
	}
	return nil, nil
}

// checkQuery refuses query parameters that a route doesn't know.
func checkQuery(r *http.Request, known ...string) error {
	for key := range r.URL.Query() {
		if strings.HasPrefix(key, "metadata.") && slices.Contains(known, "metadata.") {
			continue
		}
		if !slices.Contains(known, key) {
			return transport.BadRequest("unknown_field", key, "there is no query parameter %q here", key)
		}
	}
	return nil
}

// metadataQuery collects metadata.KEY=VALUE parameters.
func metadataQuery(r *http.Request) map[string]string {
	found := map[string]string{}
	for key, values := range r.URL.Query() {
		if name, ok := strings.CutPrefix(key, "metadata."); ok && name != "" {
			found[name] = values[len(values)-1]
		}
	}
	return found
}

func boolQuery(r *http.Request, key string) (bool, error) {
	switch v := r.URL.Query().Get(key); v {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	default:
		return false, transport.BadRequest("invalid_value", key, "%s must be true or false, not %q", key, v)
	}
}
