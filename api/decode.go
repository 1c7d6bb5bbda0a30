package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	v1 "tcid/api/v1"
	"tcid/daemon/session"
)

// readJSON reads a JSON body into v, strictly: an unknown field is more likely
// a typing error than a wish. optional allows an empty body. It returns the
// body for a second look.
func readJSON(w http.ResponseWriter, r *http.Request, v any, optional bool) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxJSONBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, badRequest("invalid_body", "", "the request body could not be read: it was cut off or came too slowly")
	}
	// From here on the connection is only watched for its end; a deadline would
	// look like that end.
	_ = control.SetReadDeadline(time.Time{})
	if len(bytes.TrimSpace(body)) == 0 {
		if optional {
			return body, nil
		}
		return nil, badRequest("invalid_json", "", "the request needs a JSON body")
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, &httpError{status: http.StatusUnsupportedMediaType, kind: typeInvalid, code: "unsupported_media_type",
			message: "send the body with Content-Type: application/json"}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return nil, jsonError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, badRequest("invalid_json", "", "there is something after the JSON value of the body")
	}
	return body, nil
}

// jsonError says what is wrong with a body in the client's terms.
func jsonError(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		if wrongType.Field == "" {
			return badRequest("invalid_json", "", "the body must be a JSON object")
		}
		return badRequest("invalid_value", wrongType.Field, "%s must not be a JSON %s", wrongType.Field, wrongType.Value)
	}
	// encoding/json has no type for this one.
	if field, ok := strings.CutPrefix(err.Error(), `json: unknown field "`); ok {
		field = strings.TrimSuffix(field, `"`)
		return badRequest("unknown_field", field, "there is no field %q here; check its spelling in the API description", field)
	}
	return badRequest("invalid_json", "", "the body is not valid JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// seconds turns a number of the wire into a duration.
func seconds(param string, s *float64) (time.Duration, error) {
	if s == nil {
		return 0, nil
	}
	if math.IsNaN(*s) || *s < 0 || *s > float64(math.MaxInt64)/float64(time.Second) {
		return 0, badRequest("invalid_value", param, "%s must be a number of seconds, not below 0", param)
	}
	return time.Duration(*s * float64(time.Second)), nil
}

// positiveSeconds is seconds for times that can't be 0.
func positiveSeconds(param string, s *float64) (time.Duration, error) {
	if s != nil && *s <= 0 {
		return 0, badRequest("invalid_value", param, "%s must be above 0", param)
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
			return out, badRequest("unsupported", "network.allow", "sessions have no network; network.allow is not supported")
		}
	}
	out.Files, err = inlineFiles(in.Files)
	return out, err
}

func inlineFiles(in []v1.InlineFile) ([]session.File, error) {
	var out []session.File
	for i, f := range in {
		content := []byte(f.Content)
		switch f.Encoding {
		case "string":
		case "base64":
			var err error
			if content, err = base64.StdEncoding.DecodeString(f.Content); err != nil {
				return nil, badRequest("invalid_file", "files", "files[%d]: content is not valid base64", i)
			}
		default:
			return nil, badRequest("invalid_file", "files", "files[%d]: encoding must be \"string\" or \"base64\"", i)
		}
		if f.Name == "" {
			return nil, badRequest("invalid_file", "files", "files[%d]: name is missing", i)
		}
		out = append(out, session.File{Name: f.Name, Content: content})
	}
	return out, nil
}

// execSpec turns a request into an execution. body is looked at to tell an
// empty code from a missing one.
func execSpec(in v1.ExecSpec, body []byte) (session.ExecSpec, error) {
	out := session.ExecSpec{Code: in.Code, Env: in.Env, Cwd: in.Cwd, MaxOutputBytes: in.MaxOutputBytes}
	if in.Code == "" {
		var probe struct {
			Code *string `json:"code"`
		}
		if err := json.Unmarshal(body, &probe); err != nil || probe.Code == nil {
			return out, badRequest("missing_field", "code", "code is missing: send the Python code to run")
		}
	}
	if in.MaxOutputBytes < 0 {
		return out, badRequest("invalid_value", "max_output_bytes", "max_output_bytes must be above 0")
	}
	if in.Stdin != nil {
		out.Stdin = append([]byte{}, *in.Stdin...)
	}
	var err error
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

// checkQuery refuses query parameters that a route doesn't know.
func checkQuery(r *http.Request, known ...string) error {
	for key := range r.URL.Query() {
		if strings.HasPrefix(key, "metadata.") && slices.Contains(known, "metadata.") {
			continue
		}
		if !slices.Contains(known, key) {
			return badRequest("unknown_field", key, "there is no query parameter %q here", key)
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
		return false, badRequest("invalid_value", key, "%s must be true or false, not %q", key, v)
	}
}
