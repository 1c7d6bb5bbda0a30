package contract

import (
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "tcid/api/v1"
)

func TestTheDescriptionIsValid(t *testing.T) {
	if _, err := Load(); err != nil {
		t.Fatal(err)
	}
}

// The wire types and the schemas have the same fields.
func TestTypesAndSchemasAgree(t *testing.T) {
	doc, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{
		"SessionSpec": v1.SessionSpec{}, "Resources": v1.Resources{},
		"Network": v1.Network{}, "InlineFile": v1.InlineFile{},
		"SessionPatch": v1.SessionPatch{}, "Session": v1.Session{}, "Isolation": v1.Isolation{},
		"SessionList": v1.SessionList{}, "Closed": v1.Closed{}, "ClosedCount": v1.ClosedCount{},
		"ExecSpec": v1.ExecSpec{}, "OneShot": v1.OneShot{}, "Test": v1.Test{}, "Grading": v1.Grading{},
		"Execution": v1.Execution{}, "ExecError": v1.ExecError{}, "Receipt": v1.Receipt{}, "Truncated": v1.Truncated{},
		"Output": v1.Output{}, "TestResult": v1.TestResult{}, "ExecutionList": v1.ExecutionList{},
		"FileInfo": v1.FileInfo{}, "FileList": v1.FileList{}, "Image": v1.Image{}, "ImageList": v1.ImageList{},
		"Version": v1.Version{}, "Limits": v1.Limits{}, "Health": v1.Health{}, "ErrorBody": v1.ErrorBody{}, "Error": v1.Error{},
	} {
		t.Run(name, func(t *testing.T) {
			schema := doc.Components.Schemas[name]
			if schema == nil {
				t.Fatal("there is no such schema")
			}
			var want, always []string
			fields(reflect.TypeOf(value), &want, &always)
			var got []string
			for property := range schema.Value.Properties {
				got = append(got, property)
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("properties (-type +schema):\n%s", diff)
			}
			// What is always sent must be required, where the daemon sends it.
			if strings.HasSuffix(name, "Spec") || slices.Contains([]string{"InlineFile", "SessionPatch", "OneShot", "Test", "Grading"}, name) {
				return
			}
			required := slices.Clone(schema.Value.Required)
			slices.Sort(required)
			slices.Sort(always)
			if diff := cmp.Diff(always, required); diff != "" && len(required)+len(always) > 0 {
				t.Errorf("required (-type +schema):\n%s", diff)
			}
		})
	}
}

func fields(t reflect.Type, all, always *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			fields(f.Type, all, always)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		*all = append(*all, name)
		if !strings.Contains(options, "omitempty") {
			*always = append(*always, name)
		}
	}
}

// The validator must be able to fail.
func TestTheValidatorFails(t *testing.T) {
	answer := func(status int, body string) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Request: r, Body: io.NopCloser(strings.NewReader(body)),
				Header: http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"req"}},
			}, nil
		})
	}
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		answer             string
		want               bool
	}{
		"fine":             {"GET", "/healthz", "", 200, `{"status":"ok"}`, true},
		"wrong value":      {"GET", "/healthz", "", 200, `{"status":"fine"}`, false},
		"missing field":    {"GET", "/v1/images", "", 200, `{}`, false},
		"wrong error":      {"GET", "/v1/images", "", 500, `{"error":"x"}`, false},
		"no such route":    {"GET", "/v1/nothing", "", 200, `{}`, false},
		"unknown request":  {"POST", "/v1/executions", `{"code":"1","cod":2}`, 500, `{"error":{"message":"m","type":"server_error","param":null,"code":null,"request_id":"r"}}`, false},
		"numeric err code": {"GET", "/v1/images", "", 500, `{"error":{"message":"m","type":"server_error","param":null,"code":1,"request_id":"r"}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := &recorder{TB: t}
			v := New(recorder)
			req, _ := http.NewRequest(c.method, "http://localhost"+c.path, strings.NewReader(c.body))
			if c.body != "" {
				req.Header.Set("Content-Type", "application/json")
			}
			resp, err := v.RoundTripper(answer(c.status, c.answer)).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if recorder.failed == c.want {
				t.Errorf("reported %v, want %v", recorder.failed, !c.want)
			}
		})
	}
}

// recorder takes failures for itself.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
